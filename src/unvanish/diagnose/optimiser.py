"""What rules about the optimiser share: whose it is, what it holds, how it scales steps."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final, TypeGuard

from unvanish.core.conditions import Optimizer, RateTrial
from unvanish.core.records import Parameter, Recording

FLOAT32_ROUNDING: Final = 2.0**-24
"""Half the distance between 1 and the next float32: a smaller relative change is lost."""

FLOAT16_ROUNDING: Final = 2.0**-25
"""Half the smallest float16: what is no larger becomes zero."""

_PLAIN: Final = frozenset({"SGD", "ASGD"})
"""Optimisers whose step is the learning rate times the gradient."""

_DECAYS_APART: Final = frozenset({"AdamW", "Lion"})
"""Optimisers that rescale the gradient, or take its signs, and not the decay."""

_RESCALING: Final = frozenset({"rmsprop", "adagrad", "nadam", "radam", "adamax", "sparseadam"})


def is_given(recording: Recording) -> bool:
    """Tell whether the user gave an optimiser, so that its settings are the user's own."""
    return any(p.in_optimizer is not None for p in recording.parameters)


def trained(recording: Recording) -> list[Parameter]:
    """Return the parameters that the optimiser holds and that a gradient reaches."""
    return [
        p
        for p in recording.parameters
        if p.requires_grad and p.has_grad and p.in_optimizer is not False
    ]


def floor_of(optimizer: Optimizer | None) -> float | None:
    """Return the eps that a rescaling optimiser adds to the gradient's size, if it has one.

    Adam and what is named after it (AdamW, NAdam, RAdam, Adamax), RMSprop and Adagrad divide
    the gradient of every entry by its own running size plus eps. Adadelta, Adafactor, LAMB
    and Muon have an eps that means something else; SGD, Lion and Rprop have none.
    """
    if optimizer is None or not optimizer.eps:
        return None
    name = optimizer.name.casefold()
    is_adam = "adam" in name and "muon" not in name
    return optimizer.eps if is_adam or name in _RESCALING else None


def is_slow(
    trial: RateTrial | None, *, min_share: float = 0.97, max_share: float = 0.6
) -> TypeGuard[RateTrial]:
    """Tell whether the steps at hand lead nowhere, and do at a higher learning rate.

    Args:
        trial: Of both learning rates, if there was one.
        min_share: Of the first loss, which has to be left at the learning rate.
        max_share: Of the first loss, below which the higher one has to come.
    """
    return (
        trial is not None
        and trial.factor > 1.0
        and trial.loss_after > min_share * trial.loss_before
        and trial.loss_after_scaled < max_share * trial.loss_before
    )


def is_floor_lost(recording: Recording) -> bool:
    """Tell whether eps rounds to zero in weights of float16, whose state has their format."""
    eps = floor_of(recording.context.optimizer)
    return eps is not None and recording.context.dtype == "float16" and eps <= FLOAT16_ROUNDING


def is_plain(optimizer: Optimizer | None) -> bool:
    """Tell whether a step is the learning rate times the gradient, as one of SGD is."""
    return optimizer is not None and optimizer.name in _PLAIN


def is_pulled(
    recording: Recording, before: Parameter, after: Parameter | None, *, least: float
) -> bool:
    """Tell whether the gradient moves a parameter, and not weight decay alone.

    Decay multiplies all entries by the same number: it leaves no trace of what the loss asks.

    Args:
        recording: What was measured.
        before: The parameter at the start.
        after: The same after the probe steps.
        least: Relative change from which it counts as moved.

    Returns:
        False where the gradient is known and is zero, or is lost beside the decay.
    """
    looks = (before.log10_grad_rms, after.log10_grad_rms if after is not None else math.nan)
    known = [value for value in looks if not math.isnan(value)]
    optimizer = recording.context.optimizer
    if not known or max(known) == -math.inf:
        return not known
    gradient: float = 10.0 ** min(max(known), 300.0)
    if optimizer is None or not optimizer.weight_decay or not before.rms > 0.0:
        return True
    if is_plain(optimizer):
        return not before.learning_rate * gradient <= least * before.rms
    beside = 0.0 if optimizer.name in _DECAYS_APART else optimizer.weight_decay * before.rms
    return gradient > max(beside, floor_of(optimizer) or 0.0)


def depths(recording: Recording) -> dict[str, int]:
    """Return the depth at which each weight is first used."""
    found: dict[str, int] = {}
    for site in recording.signal_sites():
        for name in site.weights:
            found.setdefault(name, site.depth)
    return found


def embeddings(recording: Recording) -> frozenset[str]:
    """Return the weights that are looked up by row: a batch touches only some of them."""
    return frozenset(
        name for site in recording.sites if "embedding" in site.op for name in site.weights
    )


def median(values: Iterable[float]) -> float:
    """Return the median; ``nan`` of nothing."""
    ordered = sorted(values)
    if not ordered:
        return math.nan
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else 0.5 * (ordered[middle - 1] + ordered[middle])
