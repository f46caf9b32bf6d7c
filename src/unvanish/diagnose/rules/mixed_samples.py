"""UV510: what the network answers for one sample depends on the other samples of its batch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Final, final

from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.incidents import Crossing
from unvanish.core.records import Recording, Role, Site
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict

_NAMED: Final = {
    "multi_head_attention_forward": "attention",
    "scaled_dot_product_attention": "attention",
    "rnn_tanh": "recurrence",
    "rnn_relu": "recurrence",
    "lstm": "LSTM",
    "gru": "GRU",
}


@final
@dataclass(frozen=True, kw_only=True)
class MixedSamples:
    """A recurrence, an attention or a softmax works along the batch, and mixes the samples.

    ## What it measures
    In evaluation mode the input of one sample is exchanged for that of another. Only its own
    answer should change. Where another one changes by more than rounding (`max_changed`: none),
    the first call is looked for that takes in each sample by itself, along some dimension, and
    gives them out along none: a recurrence or an attention whose batch stands where it expects the
    sequence, a softmax over the wrong dimension. Or one that takes in what is torn already: entries
    of one sample in the places of many, as `view` leaves them where `transpose` was meant. What the
    other answers change by, over what the own one does, is the share in the message.

    ## Why it hurts
    Nothing is passed on along the sequence, which is what the layer was for: at each place of it a
    state runs from sample to sample. What one answer learns from its neighbours is noise, since
    they are others in every batch. Shapes fit, the loss sinks a little, and nothing complains.

    ## When it stays silent
    On networks without such calls; on graphs, sets, similarities between all pairs and whatever
    else mixes samples in another way; on attention among rows that has no other dimension to go
    along; on a softmax over the rows of a table, unless it is the answer; on batch normalisation,
    which evaluation mode stills; where the number of answers or of targets is not that of the
    samples; and where each step of a sequence that stands first has an answer and a target of its
    own. A recurrence along a first dimension beside which all others are 1 is a note: rows of a
    table or one long sequence, nobody can say.

    ## False alarms
    A network that is meant to let samples see each other by attention, as to label some from the
    others.

    ## What helps
    `batch_first=True`, which no recurrence and no attention of PyTorch has by itself; the remedy of
    that name sets it. `softmax(dim=-1)`. `x.transpose(0, 1)` in place of `x.view(...)`.

    ## Source
    Karpathy (2019): let one answer alone send a gradient back, and see which inputs it comes to.
    Paszke and others (2019) on the order of the dimensions in PyTorch's recurrences.
    """

    code: ClassVar[str] = "UV510"
    name: ClassVar[str] = "mixed-samples"
    needs: ClassVar[frozenset[Quantity]] = frozenset()
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["karpathy2019"], SOURCES["paszke2019"])

    max_changed: int = 0

    def examine(self, recording: Recording) -> Verdict:
        """Read whose answers changed, and where samples were mixed."""
        crossing = recording.crossing
        if crossing is None:
            return NotApplicable(
                "no recurrence, attention or softmax, or not one answer and one target a sample"
            )
        if math.isnan(crossing.share):
            return NotMeasured("answers that are numbers")
        if crossing.changed <= self.max_changed:
            return Clear(summary="each sample is answered by itself")
        if not crossing.op:
            return Clear(summary="samples are mixed by a call that is made for it")
        return Found((self._finding(recording, crossing),))

    def _finding(self, recording: Recording, crossing: Crossing) -> Finding:
        named = _NAMED.get(crossing.op, crossing.op)
        shape = "(" + ", ".join(map(str, crossing.shape)) + ")"
        if crossing.is_torn:
            message = f"the samples are torn before they come to the {named}"
        elif crossing.is_single:
            message = f"the {named} runs along the batch, and each sequence has one step"
        else:
            message = f"the {named} runs along the batch, and not along the sequence"
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.NOTE if crossing.is_single else Severity.ERROR,
            message=message,
            sites=_sites(recording, crossing),
            causes=(Cause.BATCH_LAYOUT,),
            measured=crossing.share,
            expected=0.0,
            limit=0.0,
            unit="of the sample's own change",
            notes=(
                f"the input of one sample was exchanged for another's: {crossing.changed} of "
                f"{crossing.others} other answers changed, by {crossing.share:.2g} of its own "
                "change",
                f"what comes to it has the shape {shape}",
            ),
            help=(_help(crossing),),
        )


def _help(crossing: Crossing) -> str:
    if crossing.op in ("softmax", "log_softmax"):
        return f"{crossing.op}(..., dim=-1): over what competes within one sample"
    if crossing.is_torn:
        return (
            "move dimensions with x.transpose(0, 1) or x.permute(...): view and reshape keep the "
            "numbers in their order, and so hand parts of one sample to others"
        )
    if crossing.is_single:
        return (
            "if the rows are samples, batch_first=True; if they are the steps of one sequence, "
            "this is right"
        )
    return (
        "batch_first=True, since the samples come first, or x.transpose(0, 1) before the call and "
        "after it"
    )


def _sites(recording: Recording, crossing: Crossing) -> tuple[Site, ...]:
    """Return the first step of the call, where the tape saw it."""
    for site in recording.sites:
        named = crossing.op in (site.op, site.function)
        if named and site.role is Role.SIGNAL and site.path == crossing.path:
            return (site,)
    return ()
