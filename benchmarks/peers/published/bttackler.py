"""The symptoms of BTTackler, which stops trials of a hyper-parameter search early.

Source: Pei et al., "BTTackler: A Diagnosis-based Framework for Efficient Deep Learning
Hyperparameter Optimization", KDD 2024; defaults as in its repository, thuml/BTTackler.

The original averages over the batches of an epoch and judges after each epoch. Here an
epoch is four steps, so that a run of twenty has the five its DR symptom asks for, and all
of them count as the first half of the training, to which VG is restricted. Its protection
of the best tenth of the trials is in force from ten trials on, so that a single run, as
here, has none in the original either.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean, median, pstdev
from typing import Final

from benchmarks.peers.record import Record, Step, System

EPOCH: Final = 4
LAYERS: Final = ("Conv1d", "Conv2d", "Linear", "LSTM")


def epochs(record: Record) -> list[Sequence[Step]]:
    """Return the steps in epochs; an incomplete last one is left out."""
    starts = range(0, len(record.steps) - EPOCH + 1, EPOCH)
    return [record.steps[start : start + EPOCH] for start in starts]


def layer_means(epoch: Sequence[Step], quantity: str) -> list[float]:
    """Return a quantity of the gradient of each layer's first weight, averaged over an epoch."""
    layers: dict[str, list[float]] = {}
    for step in epoch:
        seen = set()
        for p in step.parameters:
            if p.layer not in LAYERS or "weight" not in p.name or p.module in seen:
                continue
            seen.add(p.module)
            if p.gradient is not None:
                layers.setdefault(p.module, []).append(getattr(p.gradient, quantity))
    return [fmean(values) for values in layers.values()]


def quotients(sizes: Sequence[float]) -> list[float]:
    """Return each layer's mean gradient over the next layer's."""
    return [first / second for first, second in pairwise(sizes)]


def has_nonfinite(record: Record) -> bool:
    """Tell whether a loss or a gradient is NaN or infinite."""
    return any(
        not math.isfinite(step.loss) or not all(g.is_finite for g in step.gradients)
        for step in record.steps
    )


def gradient_vanish(record: Record) -> bool:
    """VG: of the layers' mean |g| the median is below 1e-5, or one is 0, or they shrink.

    They shrink if the median quotient of neighbours is below 1e-4.
    """
    if has_nonfinite(record):
        return False
    for epoch in epochs(record):
        sizes = layer_means(epoch, "mean_abs")
        if not sizes:
            continue
        if median(sizes) < 1e-5 or 0 in sizes:
            return True
        if len(sizes) > 1 and median(quotients(sizes)) < 1e-4:
            return True
    return False


def gradient_explode(record: Record) -> bool:
    """EG: NaN or infinity; or a median mean |g| above 1e4, a median quotient above 1e3."""
    if has_nonfinite(record):
        return True
    for epoch in epochs(record):
        sizes = layer_means(epoch, "mean_abs")
        if sizes and median(sizes) > 1e4:
            return True
        if len(sizes) > 1 and 0 not in sizes and median(quotients(sizes)) > 1e3:
            return True
    return False


def dying_relu(record: Record) -> bool:
    """DR: from the fifth epoch on, the median share of zeros in a layer's gradient is over 0.5."""
    if has_nonfinite(record):
        return False
    shares = (layer_means(epoch, "zero_share") for epoch in epochs(record)[4:])
    return any(values and median(values) > 0.5 for values in shares)


def slow_convergence(record: Record) -> bool:
    """SC: from the third epoch on, std over mean of the epochs' losses so far is below 1e-4."""
    if has_nonfinite(record):
        return False
    losses = [fmean(step.loss for step in epoch) for epoch in epochs(record)]
    for end in range(3, len(losses) + 1):
        mean = fmean(losses[:end])
        if mean and pstdev(losses[:end]) / mean < 1e-4:
            return True
    return False


SYSTEM: Final = System(
    name="BTTackler",
    source="Pei et al., KDD 2024; defaults of thuml/BTTackler",
    left_out=(
        "HO and the late half of SC, which look at the second half of a training; NMG and "
        "OF, which compare validation losses or which its authors call useless in the code; "
        "the protection of the best tenth of the trials needs ten trials"
    ),
    rules={
        "VG": gradient_vanish,
        "EG": gradient_explode,
        "DR": dying_relu,
        "SC": slow_convergence,
    },
)
