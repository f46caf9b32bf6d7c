"""Weights that are exactly zero."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.explanations import Explanation
from unvanish.core.interventions import Intervention, Question, Swap
from unvanish.core.records import Recording
from unvanish.core.verdicts import NotApplicable
from unvanish.explain.mechanisms.way import Way, counted


@final
@dataclass(frozen=True)
class ZeroWeights:
    """A weight on the way is exactly zero and passes nothing on.

    ## What it predicts
    With those weights drawn at random, with variance 1 / fan-in, and the network run again, a
    gradient that was exactly zero arrives.

    ## How it differs from its rivals
    `weights-too-small` scales what is there, and zero stays zero. Where the weights are a gate
    that starts shut on purpose, there is another way, and the gradient was never zero.

    ## Source
    A short derivation: the Jacobian of a product with zero is zero.
    """

    name: ClassVar[str] = "zero-weights"
    bypasses: ClassVar[bool] = False

    def proposes(
        self, recording: Recording, question: Question
    ) -> tuple[Intervention, ...] | NotApplicable:
        """Draw the weights that are zero at random and run again."""
        way = Way(recording, question)
        found: dict[str, float] = {}
        for site in way.sites:
            for name in site.weights:
                parameter = way.parameters.get(name)
                if parameter is not None and len(parameter.shape) > 1 and parameter.rms == 0.0:
                    found[name] = 1.0 / math.sqrt(max(1, math.prod(parameter.shape[1:])))
        if not found:
            return NotApplicable("no weights on the way are exactly zero")
        return (
            Intervention(
                swap=Swap.REDRAW,
                what=f"random weights in {counted(len(found), 'layer')} of zeros",
                parameters=tuple(found),
                values=tuple(found.values()),
            ),
        )

    def predicts(
        self,
        recording: Recording,  # noqa: ARG002
        explanation: Explanation,
        intervention: Intervention,  # noqa: ARG002
    ) -> float:
        """Return infinitely many decades where the gradient ends, and no number elsewhere."""
        return math.inf if explanation.ledger.log10_gain == -math.inf else math.nan
