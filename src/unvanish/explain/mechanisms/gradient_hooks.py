"""Hooks of the user's that change the gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.explanations import Explanation, Factor
from unvanish.core.hooks import hook_gains
from unvanish.core.interventions import Intervention, Question, Swap
from unvanish.core.records import Recording
from unvanish.core.verdicts import NotApplicable
from unvanish.explain.mechanisms.way import Way, counted


@final
@dataclass(frozen=True)
class GradientHooks:
    """A hook on a tensor or a module scales or clips the gradient on its way back.

    ## What it predicts
    With the hooks taken out, the decades between what they are given and what they return come
    back.

    ## How it differs from its rivals
    No rival touches a hook: every other swap is measured with the hooks in place.

    ## Source
    A short derivation: a hook's ratio is measured before and behind it.
    """

    name: ClassVar[str] = "gradient-hooks"
    bypasses: ClassVar[bool] = False

    def proposes(
        self, recording: Recording, question: Question
    ) -> tuple[Intervention, ...] | NotApplicable:
        """Take out the hooks between the two places."""
        here = {question.target, *(s.index for s in Way(recording, question).sites)}
        found = sorted(here & hook_gains(recording).keys())
        if not found:
            return NotApplicable("no hook on the way changes the gradient")
        return (
            Intervention(
                swap=Swap.HOOKS,
                what=f"{counted(len(found), 'hook')} on the gradient taken out",
                sites=tuple(found),
            ),
        )

    def predicts(
        self,
        recording: Recording,  # noqa: ARG002
        explanation: Explanation,
        intervention: Intervention,
    ) -> float:
        """Return what the hooks of the ledger's path took."""
        return -math.fsum(
            leaf.log10_gain
            for leaf in explanation.ledger.leaves()
            if leaf.factor is Factor.HOOK and leaf.sites[0] in intervention.sites
        )
