"""Nothing brings the signal back to unit size."""

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
class MissingNormalisation:
    """The pre-activations drift away from unit size and from zero mean.

    ## What it predicts
    With every unit of every layer standardised over the batch, and the network run again, the
    gradient changes by chi = E phi'(z)^2 / Var phi(z) a layer in its energy, whatever the
    weights: 1.03 for sigmoid, 1.18 for tanh, 1.47 for ReLU.

    ## How it differs from its rivals
    It mends small weights, large weights and shifted units alike, so that it says that a
    normalisation helps and not what was wrong.

    ## Source
    Yang and others (2019) for the factor.
    """

    name: ClassVar[str] = "missing-normalisation"
    bypasses: ClassVar[bool] = True

    def proposes(
        self, recording: Recording, question: Question
    ) -> tuple[Intervention, ...] | NotApplicable:
        """Standardise the outputs of all layers between target and outputs."""
        way = Way(recording, question)
        if list(way.norms()):
            return NotApplicable("there are normalisations on the way")
        target = recording.sites[question.target]
        layers = [
            site
            for site in (target, *way.sites)
            if site.weights and site.op.startswith(("linear", "conv")) and not site.is_output
        ]
        if len({site.weights for site in layers}) < len(layers):
            return NotApplicable("some layers are used several times")
        if len(layers) < 2 or recording.context.batch_size < 2:
            return NotApplicable("there are fewer than two layers, or samples")
        return (
            Intervention(
                swap=Swap.NORMALISE,
                what=f"batch normalisation behind each of {counted(len(layers), 'layer')}",
                sites=tuple(site.index for site in layers),
            ),
        )

    def predicts(
        self,
        recording: Recording,  # noqa: ARG002
        explanation: Explanation,  # noqa: ARG002
        intervention: Intervention,  # noqa: ARG002
    ) -> float:
        """Return nothing: the ledger holds no normalisation that is not there."""
        return math.nan
