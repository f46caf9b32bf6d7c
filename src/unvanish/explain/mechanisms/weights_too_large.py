"""The weights are larger than the critical scale."""

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
class WeightsTooLarge:
    """The weights make the gradient grow, or push the activations into saturation.

    ## What it predicts
    With the weights at the critical scale and the forward pass held, log10 of critical over
    present sigma_w is lost for each layer. Run again, the activations leave their flat parts,
    too: the flow comes to about nought from whichever side it was on.

    ## How it differs from its rivals
    `saturation` lifts the slopes alone: where the weights are too large, the gradient then grows
    without the brake. Where the weights are held responsible wrongly, as with saturation by
    large inputs or biases, running again changes little.

    ## Source
    Poole and others (2016) for the chaotic phase; Schoenholz and others (2017) for the critical
    scale.
    """

    name: ClassVar[str] = "weights-too-large"
    bypasses: ClassVar[bool] = False

    def proposes(
        self, recording: Recording, question: Question
    ) -> tuple[Intervention, ...] | NotApplicable:
        """Scale the weights down to the critical size."""
        return at_critical_scale(recording, question, sign=-1)

    def predicts(
        self, recording: Recording, explanation: Explanation, intervention: Intervention
    ) -> float:
        """Return the decades by which the weights of the ledger's path shrink."""
        return predicted(recording, explanation, intervention)
