"""How far the gradients of successive steps agree."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Final

from unvanish.core.glossary import LayerQuantity
from unvanish.core.runs import RunRecording
from unvanish.diagnose.running.course import rows_of

FEWEST: Final = 8
"""From fewer samples no mean is taken."""


@dataclass(frozen=True, slots=True)
class Alignment:
    """The mean cosine of two successive gradients of the whole network.

    Attributes:
        mean: Over the samples.
        error: Standard error of the mean.
        samples: How many.
        first: First sample.
        last: Last sample.
    """

    mean: float
    error: float
    samples: int
    first: int
    last: int

    @property
    def high(self) -> float:
        """The mean and two standard errors."""
        return self.mean + 2.0 * self.error

    @property
    def low(self) -> float:
        """The mean less two standard errors."""
        return self.mean - 2.0 * self.error


def alignment_of(run: RunRecording, *, since: int = 0) -> Alignment | None:
    """Return how far successive gradients agree; None where too few were compared.

    The cosines of the layers are weighted by the squares of their gradients' norms, which makes
    them the cosine of the whole gradient where its size changes little from step to step.

    Args:
        run: The run.
        since: First step to look at.
    """
    cosines = rows_of(run, LayerQuantity.GRAD_ALIGNMENT)
    grads = rows_of(run, LayerQuantity.LOG10_PARAM_GRAD_RMS)
    sizes = {layer.index: math.log10(max(1, layer.size)) for layer in run.layers}
    means: list[tuple[int, float]] = []
    for step, row in cosines.items():
        if step < since:
            continue
        norms = {i: grads.get(step, {}).get(i, 0.0) + 0.5 * sizes.get(i, 0.0) for i in row}
        finite = {i: norm for i, norm in norms.items() if math.isfinite(norm)}
        if not finite:
            continue
        top = max(finite.values())
        weights = {i: 10.0 ** (2.0 * (norm - top)) for i, norm in finite.items()}
        means.append((step, sum(w * row[i] for i, w in weights.items()) / sum(weights.values())))
    if len(means) < FEWEST:
        return None
    values = [value for _, value in means]
    error = stdev(values) / math.sqrt(len(values))
    return Alignment(fmean(values), error, len(values), means[0][0], means[-1][0])
