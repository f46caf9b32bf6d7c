"""The activation's largest slope is below one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.explanations import Explanation
from unvanish.core.interventions import Intervention, Question, Swap
from unvanish.core.records import Recording
from unvanish.core.verdicts import NotApplicable
from unvanish.explain.mechanisms.way import Way, between, counted, noun, replaced


@final
@dataclass(frozen=True)
class SlopeCap:
    """The activation lets too little through, wherever it stands.

    ## What it predicts
    With the slope of every activation set to one, as if an identity stood there, all decades
    of the activations come back: -log10(cap) each for what no operating point can avoid, and
    the rest for where they stand. A sigmoid takes at least log10(4) = 0.60 decades each time.

    ## How it differs from its rivals
    `saturation` sets the slope to the cap instead of one: what only that difference brings back
    is the cap's. `weights-too-small` predicts that larger weights alone suffice; for a capped
    activation they push the units into saturation before they make up for the cap.

    ## Source
    Glorot and Bengio (2010), section 3; the swap is a short derivation.
    """

    name: ClassVar[str] = "slope-cap"
    bypasses: ClassVar[bool] = False

    def proposes(
        self, recording: Recording, question: Question
    ) -> tuple[Intervention, ...] | NotApplicable:
        """Swap the slope of every activation with a cap below one for one."""
        found = list(Way(recording, question).activations())
        if not found:
            return NotApplicable("there is no activation on the way")
        capped = [(site, source) for site, source in found if site.slope_cap < 0.999]
        if not capped:
            caps = min(site.slope_cap for site, _ in found)
            return NotApplicable(f"every activation on the way passes up to {caps:g} somewhere")
        sites = [site for site, _ in capped]
        return between(
            Swap.JACOBIAN,
            f"slope 1 in place of {counted(len(sites), noun(sites))}",
            [(site.index, source) for site, source in capped],
        )

    def predicts(
        self,
        recording: Recording,  # noqa: ARG002
        explanation: Explanation,
        intervention: Intervention,
    ) -> float:
        """Return what the activations of the ledger's path took."""
        return replaced(explanation, intervention)
