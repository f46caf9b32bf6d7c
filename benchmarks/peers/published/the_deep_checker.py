"""The checks of TheDeepChecker for TensorFlow 1 that read weights, activations and gradients.

Source: Ben Braiek and Khomh, "Testing Feedforward Neural Networks Training Programs", TOSEM
2022 (arXiv 2204.00694); defaults as in its repository, thedeepchecker/thedeepchecker.

The original makes them while it fits one small batch for 200 iterations, after every tenth;
here they are made at the tenth and twentieth step of the patient's own training, on the
activations of that step instead of the last ten.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import fmean
from typing import Final

from benchmarks.peers.record import Parameter, Record, Step, System

PERIOD: Final = 10
WINDOW: Final = 5
CRITICAL_F: Final = 2.70554
"""Critical value of its test of variances, at its alpha of 0.1."""
STARTS: Final = {"relu": "He", "tanh": "Glorot", "sigmoid": "LeCun"}


def checked(record: Record) -> Iterator[Step]:
    """Yield every tenth step, beginning with the tenth."""
    yield from record.steps[PERIOD - 1 :: PERIOD]


def same_variance(first: float, second: float) -> bool:
    """Tell whether one variance is at most the critical value times the other."""
    return max(first, second) <= CRITICAL_F * min(first, second)


def poor_initial_weights(record: Record) -> bool:
    """Initial weights: constant, or not of the variance that the activation function asks for.

    ReLU asks for He, tanh for Glorot, sigmoid for LeCun, anything else for one of the three.
    The activation function is the one the network calls most often.
    """
    step = record.steps[0]
    calls = Counter(a.function for a in step.activations).most_common(1)
    wanted = STARTS.get(calls[0][0]) if calls else None
    for p in step.of_kind("weight"):
        if p.variance <= 1e-8:
            return True
        fan_in, fan_out = math.prod(p.shape[1:]), p.shape[0] * math.prod(p.shape[2:])
        fits = {
            "He": same_variance(p.variance, 2 / fan_in),
            "Glorot": same_variance(p.variance, 2 / (fan_in + fan_out)),
            "LeCun": same_variance(p.variance, 1 / fan_in),
        }
        if not (fits[wanted] if wanted else any(fits.values())):
            return True
    return False


def dead_activations(record: Record) -> bool:
    """Dead layer: of its units over 50 % have a 95th percentile of |output| below 1e-5.

    For every function but tanh and sigmoid.
    """
    return any(
        a.function not in ("tanh", "sigmoid") and a.always_tiny_share > 0.5
        for step in checked(record)
        for a in step.activations
    )


def saturated(record: Record) -> bool:
    """Saturated layer: over 50 % of its tanh or sigmoid units have rho_B above 0.85.

    rho_B is the mean distance of a histogram of 50 bins from the middle of the range
    (Rakitianskaia and Engelbrecht, 2015). The default range is 0 to 1 for both functions;
    tanh is given -1 to 1 here, without which values near 0 would count as saturated.
    """
    return any(a.bounded_share > 0.5 for step in checked(record) for a in step.activations)


def unstable_activations(record: Record) -> bool:
    """Unstable layer: its outputs' standard deviation is outside 0.5 to 2, by an F-test."""
    return any(
        not 0.5**2 / CRITICAL_F <= a.output_std**2 <= 2.0**2 * CRITICAL_F
        for step in checked(record)
        for a in step.activations
        if a.is_finite
    )


def poor_weights(record: Record) -> bool:
    """Weights: over 95 % below 1e-5 in size, or over 95 % negative."""
    return any(
        p.tiny_share > 0.95 or p.negative_share > 0.95
        for step in checked(record)
        for p in step.of_kind("weight")
    )


def diverging_parameters(record: Record) -> bool:
    """Diverging weights or biases: mean size above 1e8, or doubled four times in a row."""
    histories = record.histories("weight", "bias")
    return any(_grows([p.mean_abs for p in history], limit=1e8) for history in histories)


def vanishing_gradient(record: Record) -> bool:
    """Vanishing gradient of a weight: mean |g| below 1e-6, or halved four times in a row."""
    for sizes in _gradient_sizes(record):
        for end in _checks(sizes):
            recent = sizes[max(0, end - WINDOW) : end]
            if sizes[end - 1] < 1e-6:
                return True
            if len(recent) == WINDOW and all(b <= 0.5 * a for a, b in pairwise(recent)):
                return True
    return False


def exploding_gradient(record: Record) -> bool:
    """Exploding gradient of a weight: mean |g| above 1e6, or doubled four times in a row."""
    return any(_grows(sizes, limit=1e6) for sizes in _gradient_sizes(record))


def unstable_learning(record: Record) -> bool:
    """Unstable learning: log10 of update over weight, averaged over 10 steps, not in -4 to -1.

    Both are means of absolute values of one weight. A weight that did not change in any
    of the 10 steps counts as untrained, which is an alarm.
    """
    for history in record.histories("weight"):
        for end in _checks(history):
            logs = [_log_update(p) for p in history[end - PERIOD : end] if p.mean_abs > 0]
            moved = [log for log in logs if log is not None]
            if logs and (not moved or not -4 <= fmean(moved) <= -1):
                return True
    return False


def numerical_instability(record: Record) -> bool:
    """Numerical instability: NaN or infinity in loss, weights, gradients or activations."""
    return any(
        not math.isfinite(step.loss)
        or not all(p.is_finite for p in step.parameters)
        or not all(g.is_finite for g in step.gradients)
        or not all(a.is_finite for a in step.activations)
        for step in record.steps
    )


def _checks(values: Sequence[object]) -> range:
    """Return how many values there are at each check."""
    return range(PERIOD, len(values) + 1, PERIOD)


def _gradient_sizes(record: Record) -> Iterator[list[float]]:
    for history in record.histories("weight"):
        gradients = [p.gradient for p in history]
        if all(g is not None for g in gradients):
            yield [g.mean_abs for g in gradients if g is not None]


def _grows(sizes: Sequence[float], *, limit: float) -> bool:
    for end in _checks(sizes):
        recent = sizes[max(0, end - WINDOW) : end]
        if sizes[end - 1] > limit:
            return True
        if len(recent) == WINDOW and all(b >= 2 * a > 0 for a, b in pairwise(recent)):
            return True
    return False


def _log_update(parameter: Parameter) -> float | None:
    ratio = parameter.change_mean_abs / parameter.mean_abs
    return math.log10(ratio) if ratio > 0 else None


SYSTEM: Final = System(
    name="TheDeepChecker",
    source="Ben Braiek and Khomh, TOSEM 2022; defaults of thedeepchecker/thedeepchecker",
    left_out=(
        "its loss curve checks, which need 50 iterations; the checks of data, outputs and "
        "initial loss, which must be told the kind of problem; fitting of a single batch; "
        "everything after the training"
    ),
    rules={
        "initial weights": poor_initial_weights,
        "dead activations": dead_activations,
        "saturated activations": saturated,
        "unstable activations": unstable_activations,
        "poor weights": poor_weights,
        "diverging parameters": diverging_parameters,
        "vanishing gradient": vanishing_gradient,
        "exploding gradient": exploding_gradient,
        "unstable learning": unstable_learning,
        "numerical instability": numerical_instability,
    },
)
