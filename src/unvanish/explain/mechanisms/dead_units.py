"""Units that no sample switches on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.explanations import Explanation
from unvanish.core.glossary import Quantity
from unvanish.core.interventions import Intervention, Question, Swap
from unvanish.core.records import Recording
from unvanish.core.verdicts import NotApplicable
from unvanish.explain.mechanisms.way import Way, counted, operations


@final
@dataclass(frozen=True)
class DeadUnits:
    """Some units have slope zero for the whole batch.

    ## What it predicts
    With the slope of those units at its cap, and of no other, the share of the gradient that
    they took comes back: -log10 of the root of the living share for each activation. It speaks
    up where more than a tenth of the units is dead beyond what chance leaves silent among
    samples as alike as these.

    ## How it differs from its rivals
    A ReLU that is off for half of the samples is not dead: the weights make up for it, see
    `weights-too-small`. `bias` says why units are dead and runs the network again.

    ## Source
    Lu, Shin, Su and Karniadakis (2020) for dead networks; the swap is a short derivation.
    """

    name: ClassVar[str] = "dead-units"
    bypasses: ClassVar[bool] = False

    least_excess: float = 0.1

    def proposes(
        self, recording: Recording, question: Question
    ) -> tuple[Intervention, ...] | NotApplicable:
        """Swap the slope of every dead unit for the activation's cap."""
        dead = recording[Quantity.DEAD_FRACTION]
        chance = recording[Quantity.EXPECTED_DEAD_FRACTION]
        found = [
            site
            for site, _ in Way(recording, question).activations()
            if dead.get(site) - chance.get(site, 0.0) > self.least_excess
        ]
        if not found:
            return NotApplicable("no more units on the way are dead than chance leaves silent")
        return (
            Intervention(
                swap=Swap.DEAD_SLOPE,
                what=f"the dead units of {counted(len(found), 'activation')} switched on",
                sites=tuple(site.index for site in found),
                values=tuple(site.slope_cap for site in found),
            ),
        )

    def predicts(
        self, recording: Recording, explanation: Explanation, intervention: Intervention
    ) -> float:
        """Return what the dead share of the units took on the ledger's path."""
        dead = recording[Quantity.DEAD_FRACTION]
        gains = operations(explanation)
        living = [1.0 - dead.get(site) for site in intervention.sites if site in gains]
        if any(share <= 0.0 for share in living):
            return math.inf
        return -0.5 * math.fsum(math.log10(share) for share in living)
