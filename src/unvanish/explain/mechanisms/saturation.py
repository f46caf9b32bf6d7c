"""The activations stand on their flat parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.explanations import Explanation
from unvanish.core.interventions import Intervention, Question, Swap
from unvanish.core.records import Recording
from unvanish.core.verdicts import NotApplicable
from unvanish.explain.mechanisms.way import Way, counted, noun, replaced


@final
@dataclass(frozen=True)
class Saturation:
    """The activations could let more through, but stand where they are flat.

    ## What it predicts
    With every slope at its cap, the decades of the ledger's operating point come back, and no
    more: log10 of cap over root mean square of the slopes, for each activation.

    ## How it differs from its rivals
    `slope-cap` sets the slope to one; for tanh the two are the same, for sigmoid they are 0.60
    decades apart each time. `weights-too-large`, `bias` and `input-scale` say why the units
    stand there: they run the network again and let the operating point follow.

    ## Source
    Glorot and Bengio (2010), section 3; the swap is a short derivation.
    """

    name: ClassVar[str] = "saturation"
    bypasses: ClassVar[bool] = False

    def proposes(
        self, recording: Recording, question: Question
    ) -> tuple[Intervention, ...] | NotApplicable:
        """Swap the slope of every activation that can saturate for its cap."""
        found = [
            (site, source)
            for site, source in Way(recording, question).activations()
            if site.can_saturate
        ]
        if not found:
            return NotApplicable("no activation on the way can saturate")
        sites = [site for site, _ in found]
        return (
            Intervention(
                swap=Swap.JACOBIAN,
                what=f"{counted(len(sites), noun(sites))} at the largest slope",
                sites=tuple(site.index for site in sites),
                sources=tuple(source for _, source in found),
                values=tuple(site.slope_cap for site in sites),
            ),
        )

    def predicts(
        self,
        recording: Recording,  # noqa: ARG002
        explanation: Explanation,
        intervention: Intervention,
    ) -> float:
        """Return what the operating points of the ledger's path took."""
        return replaced(explanation, intervention)
