"""How far the gradients of successive steps agree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev
from typing import Final

from unvanish.core.glossary import LayerQuantity, StepQuantity
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

    Args:
        run: The run.
        since: First step to look at.
    """
    return _mean([pair for pair in cosines_of(run) if pair[0] >= since])


def signal_of(run: RunRecording) -> Alignment | None:
    """Return the share of the gradient that is signal, measured within steps; None for too few.

    It has the same expectation as the cosine of two successive gradients of weights that stand
    still: both are s / (1 + s) at a ratio of signal to noise s. A long gradient counts for as much
    as it is longer than the samples around it: the mean of a ratio is not the ratio of the means.

    Args:
        run: The run.
    """
    norms = dict(run.over(StepQuantity.LOG10_GRAD_NORM))
    shares = [
        (step, share, norms[step])
        for step, share in run.over(StepQuantity.SIGNAL_SHARE)
        if math.isfinite(share) and math.isfinite(norms.get(step, math.nan))
    ]
    if len(shares) < FEWEST:
        return None
    around = [
        median(norm for _, _, norm in shares[max(0, i - FEWEST) : i + FEWEST + 1])
        for i in range(len(shares))
    ]
    weights = [
        10.0 ** min(2.0 * (norm - usual), 4.0)
        for (_, _, norm), usual in zip(shares, around, strict=True)
    ]
    values = [share for _, share, _ in shares]
    mean = fmean(values, weights)
    squares = (weight * (value - mean) for weight, value in zip(weights, values, strict=True))
    error = math.sqrt(math.fsum(each * each for each in squares)) / math.fsum(weights)
    return Alignment(mean, error, len(shares), shares[0][0], shares[-1][0])


def _mean(values: Sequence[tuple[int, float]]) -> Alignment | None:
    if len(values) < FEWEST:
        return None
    numbers = [value for _, value in values]
    error = stdev(numbers) / math.sqrt(len(numbers))
    return Alignment(fmean(numbers), error, len(numbers), values[0][0], values[-1][0])


def cosines_of(run: RunRecording) -> list[tuple[int, float]]:
    """Return sampled steps, and the cosine of the whole gradient there and at the next step.

    The cosines of the layers are weighted by the squares of their gradients' norms, which makes
    them the cosine of the whole gradient where its size changes little from step to step.
    """
    cosines = rows_of(run, LayerQuantity.GRAD_ALIGNMENT)
    grads = rows_of(run, LayerQuantity.LOG10_PARAM_GRAD_RMS)
    sizes = {layer.index: math.log10(max(1, layer.size)) for layer in run.layers}
    means: list[tuple[int, float]] = []
    for step, row in cosines.items():
        norms = {i: grads.get(step, {}).get(i, 0.0) + 0.5 * sizes.get(i, 0.0) for i in row}
        finite = {i: norm for i, norm in norms.items() if math.isfinite(norm)}
        if not finite:
            continue
        top = max(finite.values())
        weights = {i: 10.0 ** (2.0 * (norm - top)) for i, norm in finite.items()}
        means.append((step, sum(w * row[i] for i, w in weights.items()) / sum(weights.values())))
    return means
