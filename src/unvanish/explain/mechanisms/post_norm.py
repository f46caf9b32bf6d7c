"""A normalisation behind the sum of skip and branch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.explanations import Explanation
from unvanish.core.interventions import Intervention, Question
from unvanish.core.records import Recording
from unvanish.core.verdicts import NotApplicable
from unvanish.explain.mechanisms.norms import without_norms
from unvanish.explain.mechanisms.way import replaced


@final
@dataclass(frozen=True)
class PostNorm:
    """The skip is no way around, since a normalisation stands behind the sum.

    ## What it predicts
    With the identity in place of each normalisation behind a sum, x + f(x) never loses: the
    decades by which the deviation of the sum shrank skip and branch alike come back. With a
    branch of variance v beside a skip of variance 1 that is half log10(1 + v) a block.

    ## How it differs from its rivals
    `missing-skips` finds nothing to add here, since there are skips. In a pre-norm network
    nothing on the way follows a sum but the last normalisation.

    ## Source
    Xiong and others (2020).
    """

    name: ClassVar[str] = "post-norm"
    bypasses: ClassVar[bool] = False

    def proposes(
        self, recording: Recording, question: Question
    ) -> tuple[Intervention, ...] | NotApplicable:
        """Swap every normalisation behind a sum for the identity."""
        return without_norms(recording, question, after_add=True)

    def predicts(
        self,
        recording: Recording,  # noqa: ARG002
        explanation: Explanation,
        intervention: Intervention,
    ) -> float:
        """Return what those normalisations of the ledger's path took."""
        return replaced(explanation, intervention)
