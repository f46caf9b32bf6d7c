"""Numbers too small for their type."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.explanations import Explanation
from unvanish.core.interventions import Intervention, Question, Swap
from unvanish.core.records import Recording
from unvanish.core.verdicts import NotApplicable


@final
@dataclass(frozen=True)
class Precision:
    """The gradient is there, and the type cannot hold it.

    ## What it predicts
    In float64 with exponents kept, the flow is what it is without rounding. Where that is about
    nought and the network's own type found less, the type was the fault.

    ## How it differs from its rivals
    Every rival is measured in float64. Where the flow is lost there, too, the type only hides
    how much: a float32 gradient of exactly zero may be 1e-50.

    ## Source
    IEEE 754: the smallest float32 is 1.4e-45, the smallest float16 6e-8.
    """

    name: ClassVar[str] = "precision"
    bypasses: ClassVar[bool] = False

    def proposes(
        self, recording: Recording, question: Question
    ) -> tuple[Intervention, ...] | NotApplicable:
        """Run again in float64."""
        context = recording.context
        if question.origin is not None or context.grad_dtype in ("", context.dtype):
            return NotApplicable(f"{context.dtype or 'the type'} holds every gradient on the way")
        return (Intervention(swap=Swap.PRECISION, what="float64 with exponents kept"),)

    def predicts(
        self,
        recording: Recording,  # noqa: ARG002
        explanation: Explanation,  # noqa: ARG002
        intervention: Intervention,  # noqa: ARG002
    ) -> float:
        """Return nothing: the ledger was measured without this rounding."""
        return math.nan
