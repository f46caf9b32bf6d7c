"""Dropout multiplies what it keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.explanations import Explanation
from unvanish.core.interventions import Intervention, Question, Swap
from unvanish.core.records import Recording
from unvanish.core.verdicts import NotApplicable
from unvanish.explain.mechanisms.way import Way, between, counted, replaced


@final
@dataclass(frozen=True)
class Dropout:
    """Every dropout makes the gradient's norm larger.

    ## What it predicts
    With nothing dropped on the way back, p = 0, the gain of each dropout is one in place of
    (1 - p)^(-1/2): 0.15 decades each at p = 0.5, half a decade at p = 0.9.

    ## How it differs from its rivals
    `weights-too-large` scales the weights down, which makes up for dropout in the norm and not in
    the scatter. Dropout alone never makes a gradient vanish.

    ## Source
    Srivastava and others (2014); Schoenholz and others (2017), section 4.
    """

    name: ClassVar[str] = "dropout"
    bypasses: ClassVar[bool] = False

    def proposes(
        self, recording: Recording, question: Question
    ) -> tuple[Intervention, ...] | NotApplicable:
        """Let every dropout pass the gradient as it is."""
        way = Way(recording, question)
        found = []
        for site in way.sites:
            source = way.source(site) if "dropout" in site.op else None
            if source is not None:
                found.append((site.index, source))
        if not found:
            return NotApplicable("there is no dropout on the way")
        return between(Swap.JACOBIAN, f"nothing dropped in {counted(len(found), 'dropout')}", found)

    def predicts(
        self,
        recording: Recording,  # noqa: ARG002
        explanation: Explanation,
        intervention: Intervention,
    ) -> float:
        """Return what the dropouts of the ledger's path gave."""
        return replaced(explanation, intervention)
