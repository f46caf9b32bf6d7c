"""The loss hands the network too little."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.explanations import Explanation, Level
from unvanish.core.interventions import Intervention, Question, Swap
from unvanish.core.records import Recording
from unvanish.core.verdicts import NotApplicable
from unvanish.explain.ledger import explain_site
from unvanish.explain.mechanisms.way import Way


@final
@dataclass(frozen=True)
class LossSaturation:
    """The gradient is small before it enters the network.

    ## What it predicts
    With random signs at the outputs, as small as those of a mean over all their entries, in place
    of the loss's own gradient, the decades between loss and outputs come back.

    ## How it differs from its rivals
    Every rival compares what arrives with what enters at the outputs, where the loss has no
    say. This one starts at the loss.

    ## Source
    A short derivation: the mean over n entries of slope one has a gradient of norm 1 / sqrt(n).
    """

    name: ClassVar[str] = "loss-saturation"
    bypasses: ClassVar[bool] = False

    least_decades: float = 0.5

    def proposes(
        self, recording: Recording, question: Question
    ) -> tuple[Intervention, ...] | NotApplicable:
        """Let random signs enter at the outputs in place of the loss."""
        if question.origin is not None:
            return NotApplicable("the loss has no part between two steps of a loop")
        try:
            explanation = explain_site(recording, question.target)
        except ValueError:
            return NotApplicable("no gradient of the loss was measured at the target")
        back = _comes_back(recording, explanation)
        if not back > self.least_decades:
            return NotApplicable(
                f"the loss passes {-back:+.1f} decades of what a mean over the outputs would"
            )
        return (
            Intervention(swap=Swap.COTANGENT, what="random signs in place of the loss's gradient"),
        )

    def predicts(
        self,
        recording: Recording,
        explanation: Explanation,
        intervention: Intervention,  # noqa: ARG002
    ) -> float:
        """Return what a mean over the outputs would pass more than the loss."""
        return _comes_back(recording, explanation)


def _comes_back(recording: Recording, explanation: Explanation) -> float:
    taken = [t.log10_gain for t in explanation.ledger.children if t.level is Level.LOSS]
    way = Way(recording, Question(target=explanation.target))
    signal = {site.index for site in recording.signal_sites()}
    ends = [s for s in way.sites if signal.isdisjoint(way.consumers.get(s.index, ()))]
    entries = sum(site.size for site in ends)
    return -math.fsum(taken) - 0.5 * math.log10(max(1, entries))
