"""Biases that decide where the units stand."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.explanations import Explanation
from unvanish.core.glossary import Quantity
from unvanish.core.interventions import Intervention, Question, Swap
from unvanish.core.records import Recording
from unvanish.core.verdicts import NotApplicable
from unvanish.explain.mechanisms.way import Way, counted


@final
@dataclass(frozen=True)
class Bias:
    """Biases push the units onto their flat or dead side.

    ## What it predicts
    With the biases at zero and the network run again, what `dead-units` or `saturation` bring
    back with the forward pass held comes back by itself.

    ## How it differs from its rivals
    `weights-too-large` and `input-scale` name other reasons for the same operating point; of the
    three, the one that restores it when run again is the reason.

    ## Source
    Lu, Shin, Su and Karniadakis (2020) for units that a bias has killed.
    """

    name: ClassVar[str] = "bias"
    bypasses: ClassVar[bool] = False

    least_share: float = 0.5

    def proposes(
        self, recording: Recording, question: Question
    ) -> tuple[Intervention, ...] | NotApplicable:
        """Set the biases of the layers to zero and run again."""
        way = Way(recording, question)
        sizes = recording[Quantity.ACTIVATION_RMS]
        found: list[str] = []
        largest = 0.0
        for site in (recording.sites[question.target], *way.sites):
            if "norm" in site.op or not site.weights:
                continue
            names = [
                name
                for name in site.weights
                if name in way.parameters and len(way.parameters[name].shape) == 1
            ]
            for name in names:
                rms, size = way.parameters[name].rms, sizes.get(site)
                if rms > 0.0 and name not in found:
                    found.append(name)
                    largest = max(largest, rms / size if size > 0.0 else math.inf)
        if not found:
            return NotApplicable("all biases on the way are zero, or there are none")
        if largest < self.least_share:
            return NotApplicable(
                f"the biases are at most {largest:.2g} of the pre-activations they belong to"
            )
        return (
            Intervention(
                swap=Swap.PARAMETERS,
                what=f"the biases of {counted(len(found), 'layer')} at zero",
                parameters=tuple(found),
                values=(0.0,) * len(found),
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
