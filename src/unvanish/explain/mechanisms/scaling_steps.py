"""Steps that multiply the signal by a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.explanations import Explanation
from unvanish.core.interventions import Intervention, Question, Swap
from unvanish.core.records import Recording
from unvanish.core.verdicts import NotApplicable
from unvanish.explain.mechanisms.way import Way, between, counted, replaced


@final
@dataclass(frozen=True)
class ScalingSteps:
    """The signal is multiplied or divided by a constant, again and again.

    ## What it predicts
    With each of those steps passing the gradient as it is, the decades of its constant come back,
    -log10 of it each time.

    ## How it differs from its rivals
    `weights-too-small` scales the weights alone. Where both bring back the same, either may make
    up for the other; where the weights stand at their critical scale, it is the constant.

    ## Source
    A short derivation: the Jacobian of c x is c.
    """

    name: ClassVar[str] = "scaling-steps"
    bypasses: ClassVar[bool] = False

    def proposes(
        self, recording: Recording, question: Question
    ) -> tuple[Intervention, ...] | NotApplicable:
        """Let every product or quotient of one signal and a constant pass the gradient whole."""
        way = Way(recording, question)
        found = []
        for site in way.sites:
            behind = way.producers(site)
            if site.op in ("mul", "div") and len(behind) == 1 and site.slope_cap != site.slope_cap:
                found.append((site.index, behind[0]))
        if not found:
            return NotApplicable("no step on the way multiplies the signal by a constant")
        return between(Swap.GATE, f"factor 1 in {counted(len(found), 'scaling step')}", found)

    def predicts(
        self,
        recording: Recording,  # noqa: ARG002
        explanation: Explanation,
        intervention: Intervention,
    ) -> float:
        """Return what those steps of the ledger's path took."""
        return replaced(explanation, intervention)
