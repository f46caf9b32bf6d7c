"""Attention rows that have made up their mind."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.explanations import Explanation
from unvanish.core.interventions import Intervention, Question, Swap
from unvanish.core.records import Recording
from unvanish.core.verdicts import NotApplicable
from unvanish.explain.mechanisms.way import Way, counted, operations


@final
@dataclass(frozen=True)
class SoftmaxSaturation:
    """Rows of attention weights no longer react to their scores.

    ## What it predicts
    With the Jacobian of an even row, (I - 11^T / T) / T, in place of each softmax's own, its gain
    becomes sqrt(T - 1) / T. That is what an undecided row passes on.

    ## How it differs from its rivals
    Only the way through the scores changes; where the values carry the gradient, nothing
    comes back.

    ## Source
    The Jacobian diag(p) - pp^T; Zhai and others (2023) for rows of vanishing entropy.
    """

    name: ClassVar[str] = "softmax-saturation"
    bypasses: ClassVar[bool] = False

    def proposes(
        self, recording: Recording, question: Question
    ) -> tuple[Intervention, ...] | NotApplicable:
        """Swap the Jacobian of every softmax for that of an even row."""
        found = [site for site in Way(recording, question).sites if site.op == "softmax"]
        if not found:
            return NotApplicable("there is no softmax on the way")
        return (
            Intervention(
                swap=Swap.SOFTMAX,
                what=f"even rows in {counted(len(found), 'softmax call')}",
                sites=tuple(site.index for site in found),
                values=(1.0,) * len(found),
            ),
        )

    def predicts(
        self, recording: Recording, explanation: Explanation, intervention: Intervention
    ) -> float:
        """Return the difference to even rows, where the ledger's path runs through scores."""
        gains = operations(explanation)
        terms = []
        for site in intervention.sites:
            choices = recording.sites[site].shape[-1] if recording.sites[site].shape else 1
            if site in gains and choices > 1:
                terms.append(math.log10(math.sqrt(choices - 1) / choices) - gains[site])
        return math.inf if math.inf in terms else math.fsum(terms)
