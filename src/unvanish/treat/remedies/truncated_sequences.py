"""Truncated sequences: the state of a recurrence is detached every few steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, final

from torch import nn

from unvanish.core.findings import Diagnosis
from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.surgery import CannotTreatError
from unvanish.treat.time_steps import Recurrence, recurrences_of
from unvanish.treat.truncating import Cut, Regularly, truncated
from unvanish.treat.turns import Turns

_GROWTH: Final = 1.0
"""Decades by which a gradient may grow on its way over a piece."""
_REACH: Final = 3.0
"""Decades after which what is left of a gradient changes no sum."""
_SHORTEST: Final = 2
_EVERY: Final = "every"


@final
@dataclass(frozen=True, kw_only=True)
class TruncatedSequences:
    r"""Cut the gradient of a recurrence every few steps: truncated backpropagation through time.

    ## When to use
    A sequence whose backward pass costs too much: what lies before the last cut that the loss
    does not read is freed as soon as it is computed. And, beside clipping, a recurrence whose
    gradient explodes on its way back in time and may not be given other weights.

    It never makes a memory longer, and it hides what is measured: behind a cut there are no long
    ways left on which a gradient could be seen to vanish (UV301) or to explode (UV102). A network
    would look cured that is not, so it is not offered for either, and is there to be asked for by
    name. gated-cell, lstm-cell, chrono and orthogonal-recurrence cure.

    ## What it changes
    The state is detached every few steps, counted from the end of the sequence, and so handed on
    in value and not in gradient. `nn.RNN`, `nn.LSTM` and `nn.GRU` run in pieces, packed sequences
    too; before a cell, or a linear layer that carries the state of a loop by hand, the state is
    detached in every so many calls. Outputs are what they were.

    ## What it costs
    Whatever lies further back than a piece cannot be learnt. Where the loss reads the last step
    alone, nothing before the last piece is trained. A layer in pieces starts a kernel for each.

    ## Settings
    every: steps a piece. Where the gradient grows, as many as it takes to grow by a decade; where
    it fades, as many as it takes to lose three, for what is cut off then changes next to nothing.
    At least 2.

    ## Where we differ
    Williams and Peng let the pieces overlap: at each step the gradient reaches back as far. Here,
    as is usual today, it reaches back to the last cut. They choose the length by the task.

    ## Composes with
    Clipping, which a single large step still needs. Apply remedies for the weights and cells first.

    ## Evidence
    A tanh RNN of 64 units with recurrent weights of N(0, 2.5^2 / 64) that reads 60 steps of a wave
    and predicts the next value, 250 steps of SGD (0.03, momentum 0.9), mean squared error of two
    seeds where a constant guess has 0.5: 0.11 and 0.07 as it is, 1.75 and 2061 in pieces of 9
    steps, of which UV102 says nothing any more; 0.85 and 0.68 with clip-norm alone, 0.40 and 0.45
    with both; 0.003 with orthogonal-recurrence. An LSTM of 64 units over 600 steps, 32 sequences,
    of which the last step is read: 49 ms forward and back, 30 ms in pieces of 60 steps.

    ## Source
    Williams and Peng (1990), section 3; Pascanu, Mikolov and Bengio (2013), section 3, for what
    it cannot do.
    """

    name: ClassVar[str] = "truncated-sequences"
    treats: ClassVar[frozenset[str]] = frozenset()
    change: ClassVar[Change] = Change.GRAPH
    keeps: ClassVar[frozenset[Keeps]] = frozenset(
        {Keeps.FUNCTION, Keeps.WEIGHTS, Keeps.STATE_NAMES}
    )
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["williams1990"], SOURCES["pascanu2013"])
    after: ClassVar[frozenset[str]] = frozenset(
        {"gated-cell", "lstm-cell", "forget-bias", "chrono", "orthogonal-recurrence"}
    )
    excludes: ClassVar[frozenset[str]] = frozenset()

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit a recurrence in one direction that is longer than a piece would be."""
        found = recurrences_of(case)
        if not found:
            return NotApplicable("no recurrence over time runs in it")
        fitting = [one for one in found if not one.refusal]
        if not fitting:
            place = found[0].path or "the network"
            return NotApplicable(f"{place} cannot be cut: {found[0].refusal}")
        if any(not one.path for one in fitting):
            return NotApplicable("the network itself is the recurrent layer; put it into a module")
        measured = [one for one in fitting if not math.isnan(one.decades)]
        if not measured:
            return NotApplicable("how its gradient changes from step to step was not measured")
        every = _piece(measured)
        longest = max(one.steps for one in fitting)
        if every >= longest:
            worst = max(measured, key=lambda one: abs(one.decades))
            return NotApplicable(
                f"over all {longest} steps the gradient changes by "
                f"{abs(worst.decades) * longest:.1f} decades only: there is nothing to cut off"
            )
        return Prescription(
            remedy=self.name,
            why=_why(measured),
            change=self.change,
            keeps=self.keeps,
            settings={_EVERY: int(every)},
            places=tuple(one.path for one in fitting),
            cost=f"what lies more than {every:.0f} steps back cannot be learnt",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Run layers in pieces, and cut the state before cells."""
        every = int(prescription.settings[_EVERY])
        if every < 1:
            raise CannotTreatError(f"a piece of {every} steps holds none", help="every=10")
        known = {one.path: one for one in recurrences_of(_as_case(patient))}
        for path in prescription.places:
            one = known.get(path)
            if one is None or one.refusal:
                raise CannotTreatError(f"{path} is no recurrence whose state could be cut")
            module = patient.model.get_submodule(path)
            words = f"its state detached every {every} steps"
            if isinstance(module, nn.RNNBase) and not one.function:
                new = truncated(module, every)
                what = f"{type(module).__name__}, {words}"
                patient.surgery.replace(path, new, what=what)
                continue
            turns = Turns(Regularly(every, one.steps % every), one.steps)
            patient.surgery.insert("", None, "begin", turns=turns)
            patient.surgery.insert(
                path,
                Cut(),
                "before",
                function=one.function,
                argument=1 if one.function else 0,
                turns=turns,
                before="its state with its gradient",
                after=words,
            )


def _as_case(patient: Patient) -> Case:
    """Return what a patient is as a case, to look for its recurrences again."""
    return Case(
        model=patient.model,
        batch=patient.batch,
        loss=patient.loss,
        optimizer=patient.optimizer,
        recording=patient.anatomy.recording,
        diagnosis=Diagnosis(),
        anatomy=patient.anatomy,
    )


def _piece(found: Sequence[Recurrence]) -> float:
    """Return how many steps a piece holds; ``inf`` where the gradient does not change at all."""
    growth = max(one.decades for one in found)
    if growth > 0.0:
        return max(_SHORTEST, math.floor(_GROWTH / growth))
    if growth == 0.0:
        return math.inf
    return max(_SHORTEST, math.ceil(_REACH / -growth))


def _why(found: Sequence[Recurrence]) -> str:
    worst = max(found, key=lambda one: (one.decades > 0.0, abs(one.decades)))
    way = "grows" if worst.decades > 0.0 else "fades"
    return (
        f"the gradient {way} by {abs(worst.decades):.2g} decades a step over {worst.steps} steps "
        f"in {worst.path}"
    )
