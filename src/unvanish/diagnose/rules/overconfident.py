"""UV507: a classifier that is sure of its first answers, and wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.conditions import ShortTraining
from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording
from unvanish.core.scores import Scores, scores_of
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.starts import is_untrained


@final
@dataclass(frozen=True, kw_only=True)
class OverconfidentStart:
    """A classifier is sure of its first answers: it first has to unlearn them.

    ## What it measures
    A network that knows nothing does best to give each of C classes the same probability, which
    costs a cross entropy of log C. Scores of root mean square s cost up to some s more. The start
    is far out where an untrained network's scores have a root mean square above 5 and its cross
    entropy is more than three times log C. Classes stand on axis 1, with or without places behind
    it, as in a language model or a segmentation. For each yes or no of a binary cross entropy with
    logits C is 2. Of a sum over samples nothing is said.

    How much that matters is asked of training. A copy takes 60 steps on the probe batches with
    the user's own optimiser. If its loss is still above log C then, so that it would do better
    to say nothing, on samples it has seen twenty times, the finding is a warning; else nothing
    is said. Where the loss has other terms too, they may stay what they are at the start. Where it
    is weighted, the weights count: a binary one above 0.4 s has answers that a coin would not give
    worse, so the excess is taken for a weight. Where the network is too large to be trained here,
    or diverges, it is a note.

    ## Why it hurts
    The first steps, which are the longest, go into making the answers smaller. Whatever the early
    layers held is changed for that purpose, and where the scores grew because something grows from
    layer to layer or from neighbour to neighbour, so does every gradient.

    ## When it stays silent
    On other losses than cross entropies of scores; on answers that are right; on a bias that
    starts at the share of a rare class, as in detection; on networks that have been trained, whose
    vectors are neither all zeros nor all ones and whose matrices are not as PyTorch draws them.
    The share of each class in the targets is not asked for: log 2 is kind to rare ones.

    ## False alarms
    None is known. A long warm-up that ends after the 60 steps would be one.

    ## What helps
    The remedy output-scale, which shrinks the last layer, or the embeddings that the scores are
    made of. Embeddings that are used as the output matrix too, or multiplied with each other, start
    at a standard deviation of 0.02, not at PyTorch's 1. Sums over neighbours or over parts become
    means. A normalisation in front of the last layer does it too.

    ## Source
    LeCun, Bottou, Orr and Müller (1998), section 4.5, on answers that start at the ends of the
    output's range; Andrychowicz and others (2021), section 3.2, who find it to matter for policies.
    The limits were chosen.
    """

    code: ClassVar[str] = "UV507"
    name: ClassVar[str] = "overconfident-start"
    needs: ClassVar[frozenset[Quantity]] = frozenset({Quantity.ACTIVATION_RMS})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["lecun1998"], SOURCES["andrychowicz2021"])

    def examine(self, recording: Recording) -> Verdict:
        """Compare the first cross entropy with that of equal probabilities."""
        known = [scores for scores in scores_of(recording) if math.isfinite(scores.loss)]
        if not known and any(site.function == "cross_entropy" for site in recording.sites):
            return NotMeasured("the scores that a cross entropy reads")
        if not known:
            return NotApplicable("no cross entropy reads scores")
        if not is_untrained(recording):
            return NotApplicable("the network has been trained")
        worst = max(known, key=lambda scores: (scores.is_far_out, scores.loss / scores.chance))
        run = recording.training
        said = f"the first cross entropy is {worst.loss:.3g}, that of {worst.classes} equal "
        said += f"probabilities {worst.chance:.3g}"
        if not worst.is_far_out:
            return Clear(summary=said)
        if run is not None and run.loss_after <= _of_nothing(recording, run, worst):
            return Clear(summary=f"{said}; {run.steps} steps take it to {run.loss_after:.3g}")
        return Found((self._finding(recording, worst),))

    def _finding(self, recording: Recording, worst: Scores) -> Finding:
        run = recording.training
        notes = [f"the scores have rms {worst.size:.3g}; up to about 1 all classes have a chance"]
        severity = Severity.NOTE
        if run is not None and math.isfinite(run.loss_after):
            severity = Severity.WARNING
            notes.append(
                f"{run.steps} steps on the batches at hand take the loss from "
                f"{run.loss_before:.3g} to {run.loss_after:.3g}, which is still worse than knowing "
                "nothing"
            )
        return Finding(
            code=self.code,
            name=self.name,
            severity=severity,
            message=f"the first answers are sure and wrong: a cross entropy of {worst.loss:.3g}, "
            f"where {worst.classes} equal probabilities have {worst.chance:.3g}",
            sites=(worst.site,),
            parameters=worst.site.weights,
            measured=worst.loss,
            expected=worst.chance,
            limit=worst.limit,
            unit="nats",
            causes=(Cause.INIT_TOO_LARGE, Cause.SOFTMAX_SATURATION),
            notes=tuple(notes),
            help=(
                "start the output layer smaller: torch.nn.init.normal_(layer.weight, std=0.02)",
                "or normalise what enters it: torch.nn.LayerNorm(features)",
            ),
        )


def _of_nothing(recording: Recording, run: ShortTraining, worst: Scores) -> float:
    """Return what the whole loss is where some scores know nothing and the rest stays as it was."""
    first, own = recording.context.loss_value, math.nan
    if recording.terms:
        values = [term.value for term in recording.terms if term.site == worst.error.index]
        own = (values[0] if values else worst.loss) / first if first > 0.0 else math.nan
    share = min(1.0, max(0.0, own)) if math.isfinite(own) else 1.0
    left = run.loss_before * (1.0 - share * (1.0 - worst.of_nothing / worst.loss))
    return max(worst.of_nothing, left) if math.isfinite(left) else worst.of_nothing
