"""A normalisation takes the gradient."""

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
class Normalisation:
    """A normalisation divides by a large deviation, or has a small weight of its own.

    ## What it predicts
    With the identity in place of each normalisation, the decades of its deviation, its weight
    and its projection come back. Where it divides by a small deviation, they are lost.

    ## How it differs from its rivals
    `post-norm` takes out those behind a sum of skip and branch, and only those.

    ## Source
    Ioffe and Szegedy (2015) for the Jacobian; the swap is a short derivation.
    """

    name: ClassVar[str] = "normalisation"
    bypasses: ClassVar[bool] = False

    def proposes(
        self, recording: Recording, question: Question
    ) -> tuple[Intervention, ...] | NotApplicable:
        """Swap every normalisation that follows no sum for the identity."""
        return without_norms(recording, question, after_add=False)

    def predicts(
        self,
        recording: Recording,  # noqa: ARG002
        explanation: Explanation,
        intervention: Intervention,
    ) -> float:
        """Return what the normalisations of the ledger's path took."""
        return replaced(explanation, intervention)
