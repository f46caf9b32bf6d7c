"""Branches that add their full size at every block."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.explanations import Explanation
from unvanish.core.interventions import Intervention, Question, Swap
from unvanish.core.records import Recording
from unvanish.core.verdicts import NotApplicable
from unvanish.explain.mechanisms.way import Way, recurrent_calls


@final
@dataclass(frozen=True)
class UnscaledBranches:
    """Every residual block adds to the gradient that goes past it.

    ## What it predicts
    A branch of gain g beside a skip makes a block of gain sqrt(1 + g^2), and L of them grow
    without bound. With each branch multiplied by 1 / sqrt(L), the product stays below
    exp(g^2 / 2) however many there are.

    ## How it differs from its rivals
    `weights-too-large` asks for critical weights, at which g = 1 and the blocks still grow by
    sqrt(2) each. Only a residual network can have this fault, and it never makes a gradient
    vanish.

    ## Source
    Zhang, Dauphin and Ma (2019); the bound is a short derivation.
    """

    name: ClassVar[str] = "unscaled-branches"
    bypasses: ClassVar[bool] = False

    fewest_blocks: int = 3

    def proposes(
        self, recording: Recording, question: Question
    ) -> tuple[Intervention, ...] | NotApplicable:
        """Multiply what every branch sends back by one over the root of their number."""
        way = Way(recording, question)
        if recurrent_calls(way):
            return NotApplicable("the sums on the way may be those of a recurrence")
        ends: list[int] = []
        for site in way.sites:
            behind = [recording.sites[p] for p in way.producers(site)]
            if site.op != "add" or len(behind) != 2:
                continue
            skip, branch = sorted(behind, key=lambda one: one.depth)
            alone = len(set(way.consumers.get(branch.index, ()))) == 1
            if skip.depth and alone and way.leads(skip.index, branch.index):
                ends.append(branch.index)
        if len(ends) < self.fewest_blocks:
            return NotApplicable("there are fewer than three residual blocks on the way")
        scale = 1.0 / math.sqrt(len(ends))
        return (
            Intervention(
                swap=Swap.GAIN,
                what=f"each of {len(ends)} branches times {scale:.2g}",
                sites=tuple(ends),
                values=(scale,) * len(ends),
            ),
        )

    def predicts(
        self,
        recording: Recording,  # noqa: ARG002
        explanation: Explanation,  # noqa: ARG002
        intervention: Intervention,  # noqa: ARG002
    ) -> float:
        """Return nothing: the ledger follows one of the ways that come together."""
        return math.nan
