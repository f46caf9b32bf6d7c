"""The built-in rules of Amazon SageMaker Debugger that concern gradients and activations.

Source: Amazon SageMaker Developer Guide, "List of Debugger Built-in Rules". The rules'
code is not published; where the guide leaves something open, the docstring says how it is
read here. All of them look at every step, as with ``save_interval`` 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from benchmarks.peers.record import Parameter, Record, Step, System


def weights(step: Step) -> Iterator[Parameter]:
    """Yield what belongs to the collection `weights`: trainable, and named so."""
    yield from (p for p in step.parameters if "weight" in p.name)


def vanishing_gradient(record: Record) -> bool:
    """VanishingGradient: the mean absolute value of a gradient is below 1e-7."""
    return any(g.mean_abs < 1e-7 for step in record.steps for g in step.gradients)


def exploding_tensor(record: Record) -> bool:
    """ExplodingTensor: a tensor holds NaN or infinity (``only_nan`` False)."""
    return any(
        not math.isfinite(step.loss)
        or not all(p.is_finite for p in step.parameters)
        or not all(g.is_finite for g in step.gradients)
        or not all(a.is_finite for a in step.activations)
        for step in record.steps
    )


def dead_relu(record: Record) -> bool:
    """DeadRelu: of a layer's ReLUs more than 50 % are active in less than 1 % of the cases.

    Active is read as above zero, a ReLU as a unit. The guide's regular expression finds
    modules by name; calls in ``forward`` count as well here.
    """
    return any(
        a.function == "relu" and a.rarely_positive_share > 0.5
        for step in record.steps
        for a in step.activations
    )


def saturated_activation(record: Record) -> bool:
    """SaturatedActivation: of a layer's tanh or sigmoid units more than 50 % are saturated.

    A unit is saturated if its input lies within the bounds (tanh ±9.4999, sigmoid -23 to
    16.99999) in less than 1 % of the cases.
    """
    return any(a.rarely_inside_share > 0.5 for step in record.steps for a in step.activations)


def poor_weight_initialization(record: Record) -> bool:
    """PoorWeightInitialization: within the first 10 steps one of three things holds.

    The largest variance of the inputs of the ReLUs is more than 10 times the smallest; the
    5th and 95th percentile of some gradient differ by less than 0.001; or the loss has not
    fallen for 5 steps, read as: none of 5 steps in a row has a new lowest loss.
    """
    steps = record.steps[:10]
    for step in steps:
        variances = [a.input_variance for a in step.activations if a.function == "relu"]
        if variances and max(variances) > 10 * min(variances):
            return True
        if any(g.spread < 0.001 for g in step.gradients):
            return True
    lowest, waited = math.inf, 0
    for step in steps:
        waited = 0 if step.loss < lowest else waited + 1
        lowest = min(lowest, step.loss)
        if waited >= 5:
            return True
    return False


def weight_update_ratio(record: Record) -> bool:
    """WeightUpdateRatio: update over weight is above 10 or below 1e-8 (epsilon 1e-9).

    Both are read as norms.
    """
    ratios = (p.change_norm / (p.norm + 1e-9) for step in record.steps for p in weights(step))
    return any(ratio > 10 or ratio < 1e-8 for ratio in ratios)


def unchanged_tensor(record: Record) -> bool:
    """UnchangedTensor: ``numpy.allclose`` over 3 steps (rtol 1e-5, atol 1e-8).

    The rule must be told which tensors; the guide's example names the losses, so does this.
    """
    same = [abs(a - b) <= 1e-8 + 1e-5 * abs(b) for a, b in pairwise(record.losses)]
    return any(first and second for first, second in pairwise(same))


def all_zero(record: Record) -> bool:
    """AllZero: all values of a tensor are zero (threshold 100 %).

    The rule must be told which tensors; this looks at the weights, as the authors of
    TheDeepChecker did when they compared with it. All tensors, as in the guide's example,
    would bring every bias that starts at zero.
    """
    return any(p.zero_share == 1 for step in record.steps for p in weights(step))


def loss_not_decreasing(record: Record) -> bool:
    """LossNotDecreasing: over 10 steps the loss falls by less than 0.1 %, or rises by over 5 %.

    The check runs every 10 steps. A rise of up to ``increase_threshold_percent``, 5 %, is
    read as allowed.
    """
    losses = record.losses[::10]
    for old, new in pairwise(losses):
        fall = 100 * (old - new) / abs(old) if old else 0.0
        if 0 <= fall < 0.1 or fall < -5:
            return True
    return False


SYSTEM: Final = System(
    name="SageMaker Debugger",
    source="Amazon SageMaker Developer Guide, List of Debugger Built-in Rules",
    left_out="the rules about data sets, validation loss, trees and hardware",
    rules={
        "VanishingGradient": vanishing_gradient,
        "ExplodingTensor": exploding_tensor,
        "DeadRelu": dead_relu,
        "SaturatedActivation": saturated_activation,
        "PoorWeightInitialization": poor_weight_initialization,
        "WeightUpdateRatio": weight_update_ratio,
        "UnchangedTensor": unchanged_tensor,
        "AllZero": all_zero,
        "LossNotDecreasing": loss_not_decreasing,
    },
)
