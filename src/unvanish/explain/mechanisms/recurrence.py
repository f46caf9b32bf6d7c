"""The same step, again and again."""

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
from unvanish.explain.mechanisms.way import Way, between, counted, recurrent_calls


@final
@dataclass(frozen=True)
class Recurrence:
    """The gradient is lost from one time step to the one before.

    ## What it predicts
    With an orthogonal Jacobian for each step, here the identity, the gain of a step is one, and
    all decades between the first and the last call come back.

    ## How it differs from its rivals
    It replaces the whole step, so that it says where the gradient is lost and not by what:
    `slope-cap`, `saturation`, `weights-too-small` and `closed-gates` take the step apart. Where
    it does not help, the loss lies before or behind the loop.

    ## Source
    Pascanu, Mikolov and Bengio (2013); Arjovsky, Shah and Bengio (2016) for orthogonal steps.
    """

    name: ClassVar[str] = "recurrence"
    bypasses: ClassVar[bool] = True

    def proposes(
        self, recording: Recording, question: Question
    ) -> tuple[Intervention, ...] | NotApplicable:
        """Swap the Jacobian of every step for the identity."""
        calls = recurrent_calls(Way(recording, question))
        if not calls:
            return NotApplicable("no weights are used again and again on the way")
        steps = list(pairwise(calls))
        return between(
            Swap.JACOBIAN,
            f"an orthogonal Jacobian in {counted(len(steps), 'call')} of the same weights",
            [(later, earlier) for earlier, later in steps],
        )

    def predicts(
        self,
        recording: Recording,
        explanation: Explanation,  # noqa: ARG002
        intervention: Intervention,
    ) -> float:
        """Return what is lost between the last and the first call."""
        found = recording[Quantity.LOG10_LAST_STEP_GRAD_RMS]
        first, last = found.get(intervention.sources[0]), found.get(intervention.sites[-1])
        if first == last:
            return 0.0 if math.isfinite(first) else math.nan
        return last - first
