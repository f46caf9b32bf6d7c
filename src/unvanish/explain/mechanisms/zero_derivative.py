"""A step whose derivative is zero everywhere."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.explanations import Explanation
from unvanish.core.glossary import Quantity
from unvanish.core.interventions import Intervention, Question, Swap
from unvanish.core.records import Recording
from unvanish.core.verdicts import NotApplicable
from unvanish.explain.mechanisms.way import Way, between, counted, noun


@final
@dataclass(frozen=True)
class ZeroDerivative:
    """A step gets a gradient and passes none on, whatever the data are.

    ## What it predicts
    With those steps passing the gradient as it is, as a straight-through estimator does, a
    gradient that was exactly zero arrives. Rounding, signs and a softmax over one unit are such.

    ## How it differs from its rivals
    `dead-units` is about activations that pass something on elsewhere; `zero-weights` about
    weights. Neither is touched here.

    ## Source
    Bengio, Léonard and Courville (2013) for the straight-through estimator.
    """

    name: ClassVar[str] = "zero-derivative"
    bypasses: ClassVar[bool] = False

    def proposes(
        self, recording: Recording, question: Question
    ) -> tuple[Intervention, ...] | NotApplicable:
        """Swap the Jacobian of every step that passes nothing on for the identity."""
        way = Way(recording, question)
        norms = recording[Quantity.LOG10_LEDGER_GRAD_NORM]
        gains: dict[int, float] = {}
        for edge in recording.edges:
            gains[edge.consumer] = max(gains.get(edge.consumer, -math.inf), edge.log10_gain)
        found = []
        for site in way.sites:
            blocks = gains.get(site.index) == -math.inf and norms.get(site) > -math.inf
            if blocks and not site.weights and not site.slope_cap > 0.0:
                source = way.source(site)
                if source is not None:
                    found.append((site, source))
        if not found:
            return NotApplicable("no step on the way passes nothing on by its nature")
        sites = [site for site, _ in found]
        return between(
            Swap.JACOBIAN,
            f"slope 1 in place of {counted(len(sites), noun(sites))}",
            [(site.index, source) for site, source in found],
        )

    def predicts(
        self,
        recording: Recording,  # noqa: ARG002
        explanation: Explanation,  # noqa: ARG002
        intervention: Intervention,  # noqa: ARG002
    ) -> float:
        """Return infinitely many decades."""
        return math.inf
