"""The weights are smaller than the critical scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.explanations import Explanation
from unvanish.core.interventions import Intervention, Question
from unvanish.core.records import Recording
from unvanish.core.verdicts import NotApplicable
from unvanish.explain.mechanisms.weight_scale import at_critical_scale, predicted


@final
@dataclass(frozen=True)
class WeightsTooSmall:
    """Every layer's weights shrink the gradient.

    ## What it predicts
    With the weights at the critical scale, log10 of critical over present sigma_w comes back for
    each layer. The critical scale is that of the activation at its best operating point: sqrt(2)
    for ReLU, 1 for tanh. A slope cap below one is not made up for: it is 1 for sigmoid, too.

    It is measured twice: with the forward pass held, so that only the weights of the Jacobian
    change; and run again, where the operating point follows. Where the two differ, the larger
    signal saturates the activations.

    ## How it differs from its rivals
    `slope-cap` predicts that scale alone cannot help. A vanishing signal with flat weight
    gradients, as of ReLU with Xavier's initialisation, is this one.

    ## Source
    He and others (2015) for ReLU; Schoenholz and others (2017) for the critical scale.
    """

    name: ClassVar[str] = "weights-too-small"
    bypasses: ClassVar[bool] = False

    def proposes(
        self, recording: Recording, question: Question
    ) -> tuple[Intervention, ...] | NotApplicable:
        """Scale the weights up to the critical size."""
        return at_critical_scale(recording, question, sign=1)

    def predicts(
        self, recording: Recording, explanation: Explanation, intervention: Intervention
    ) -> float:
        """Return the decades by which the weights of the ledger's path grow."""
        return predicted(recording, explanation, intervention)
