"""Data of a scale that the network is not made for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.conditions import DataRole
from unvanish.core.explanations import Explanation
from unvanish.core.interventions import Intervention, Question, Swap
from unvanish.core.records import Recording
from unvanish.core.verdicts import NotApplicable


@final
@dataclass(frozen=True)
class InputScale:
    """The inputs push the first units onto their flat or dead side.

    ## What it predicts
    With the inputs standardised to mean 0 and deviation 1 and the network run again, what
    `saturation` or `dead-units` bring back in the first layers comes back by itself.

    ## How it differs from its rivals
    `weights-too-large` and `bias` name other reasons for the same operating point. Where the
    later layers are to blame, the scale of the inputs is forgotten on the way.

    ## Source
    LeCun, Bottou, Orr and Müller (1998), section 4.3.
    """

    name: ClassVar[str] = "input-scale"
    bypasses: ClassVar[bool] = False

    far: float = 10.0

    def proposes(
        self,
        recording: Recording,
        question: Question,  # noqa: ARG002
    ) -> tuple[Intervention, ...] | NotApplicable:
        """Standardise the inputs and run again."""
        floats = [
            d
            for d in recording.data
            if d.role is DataRole.INPUT and "float" in d.dtype and d.std > 0
        ]
        if not floats:
            return NotApplicable("no floating input can be standardised")
        worst = max(floats, key=lambda d: max(abs(math.log(d.std)), abs(d.mean) / d.std))
        off = max(d.std for d in floats) > self.far or min(d.std for d in floats) < 1.0 / self.far
        if not off and all(abs(d.mean) <= self.far * d.std for d in floats):
            return NotApplicable(
                f"{worst.name} has mean {worst.mean:.2g} and deviation {worst.std:.2g}"
            )
        return (
            Intervention(
                swap=Swap.INPUT,
                what=f"standardised inputs (deviation {worst.std:.3g} to 1)",
            ),
        )

    def predicts(
        self,
        recording: Recording,  # noqa: ARG002
        explanation: Explanation,  # noqa: ARG002
        intervention: Intervention,  # noqa: ARG002
    ) -> float:
        """Return nothing: the ledger does not say why a unit stands where it does."""
        return math.nan
