"""There is no way around the blocks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, final

from unvanish.core.explanations import Explanation
from unvanish.core.glossary import Quantity
from unvanish.core.interventions import Intervention, Question, Swap
from unvanish.core.records import Recording
from unvanish.core.verdicts import NotApplicable
from unvanish.explain.dominators import dominators
from unvanish.explain.mechanisms.way import Way, between, counted


@final
@dataclass(frozen=True)
class MissingSkips:
    """Every gradient has to pass every block.

    ## What it predicts
    With the identity added around each block that keeps its shape, a block of gain g has the
    gain sqrt(1 + g^2) for a gradient without preferred direction: never below one. What is lost
    in layers that change the shape stays lost.

    ## How it differs from its rivals
    It restores the flow whatever each block's fault is, so that it says that a way around helps
    and not why the blocks lose. Where it does not help, the loss lies outside of the blocks.

    ## Source
    He and others (2016) for identity mappings; the gain is a short derivation.
    """

    name: ClassVar[str] = "missing-skips"
    bypasses: ClassVar[bool] = True

    fewest_blocks: int = 3

    def proposes(
        self, recording: Recording, question: Question
    ) -> tuple[Intervention, ...] | NotApplicable:
        """Add the identity around every plain block."""
        way = Way(recording, question)
        if question.origin is not None:
            return NotApplicable("a step of a loop over time is no block")
        chain = dominators(question.target, way.consumers)[::-1]
        blocks: list[tuple[int, int]] = []
        bottom, weighted, around = chain[0], False, False
        for below, here in pairwise(chain):
            site = recording.sites[here]
            around |= len(set(way.consumers.get(below, ()))) > 1
            weighted |= bool(site.weights) and "norm" not in site.op
            if around or site.shape != recording.sites[bottom].shape:
                bottom, weighted, around = here, False, False
            elif weighted:
                blocks.append((here, bottom))
                bottom, weighted = here, False
        if len(blocks) < self.fewest_blocks:
            return NotApplicable(
                f"{counted(len(blocks), 'plain block')} on the way "
                f"{'keeps' if len(blocks) == 1 else 'keep'} the shape without a way around"
            )
        return between(Swap.SKIP, f"a skip around each of {counted(len(blocks), 'block')}", blocks)

    def predicts(
        self,
        recording: Recording,
        explanation: Explanation,  # noqa: ARG002
        intervention: Intervention,
    ) -> float:
        """Return what blocks of gain sqrt(1 + g^2) give back."""
        norms = recording[Quantity.LOG10_LEDGER_GRAD_NORM]
        terms = []
        for top, bottom in zip(intervention.sites, intervention.sources, strict=True):
            gain = norms.get(bottom) - norms.get(top)
            if norms.get(top) == -math.inf or math.isnan(gain):
                return math.nan
            if gain == -math.inf:
                return math.inf
            terms.append(0.5 * math.log10(1.0 + 10.0 ** (2.0 * min(gain, 100.0))) - gain)
        return math.fsum(terms)
