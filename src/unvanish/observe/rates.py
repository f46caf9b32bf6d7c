"""A longer look at a learning rate that the probe steps make look too large."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Final

import torch
from torch import nn

from unvanish.core.conditions import ProbeStep, RateTrial
from unvanish.observe.batch import Batch
from unvanish.observe.look import Conditions
from unvanish.observe.optimizer import OptimizerLike, copy_with_optimizer
from unvanish.observe.steps import Walk, needs_closure

_log = logging.getLogger(__name__)

_STEPS: Final = 30
"""Steps of each run: momentum of 0.9 has grown to 96 % of its full size after them."""

_RISE: Final = 1.05
"""Factor above the first loss at which one of the probe steps makes the rate suspicious."""

_PART: Final = 0.1
"""Part of the learning rate that is tried beside it."""

_LARGEST: Final = 20_000_000
"""Parameters of the largest network that is trained so long."""


def try_lower_rate(
    model: nn.Module,
    optimizer: OptimizerLike,
    batches: Sequence[Batch],
    conditions: Conditions,
    clip_grad_norm: float | None,
    taken: Sequence[ProbeStep],
) -> RateTrial | None:
    """Train two copies of a network, at the user's learning rate and at a tenth of it.

    Nothing is tried where the loss of the probe steps gives no reason to, nor where the
    network is large: the runs take as long as all the rest of a look at it.

    Args:
        model: The model; only its copies are trained.
        optimizer: As given to `trace`.
        batches: Used in turn.
        conditions: Loss, seed, autocast.
        clip_grad_norm: Largest total gradient norm, or None.
        taken: The probe steps.

    Returns:
        Where both led; None where nothing was tried, or a copy could not be trained.
    """
    if not _looks_too_large(taken) or sum(p.numel() for p in model.parameters()) > _LARGEST:
        return None
    ends: list[float] = []
    before = math.nan
    try:
        for part in (1.0, _PART):
            twin, twin_optimizer = copy_with_optimizer(model, optimizer)
            if needs_closure(twin_optimizer):
                return None
            _scale(twin_optimizer, part)
            walk = Walk(twin, twin_optimizer, conditions, clip_grad_norm)
            before = _mean_loss(walk, batches)
            for number in range(_STEPS):
                if not math.isfinite(walk.step(batches[number % len(batches)]).loss_before):
                    break
            ends.append(_mean_loss(walk, batches))
    except Exception:
        _log.debug("the learning rates could not be compared", exc_info=True)
        return None
    return RateTrial(steps=_STEPS, loss_before=before, loss_after=ends[0], loss_after_tenth=ends[1])


def _looks_too_large(taken: Sequence[ProbeStep]) -> bool:
    """Tell whether the loss rose on the way, to a number that training may still come from."""
    losses = [v for step in taken for v in (step.loss_before, step.loss_after) if v == v]
    return (
        len(losses) > 1
        and all(math.isfinite(value) for value in losses)
        and losses[0] > 0.0
        and not taken[0].predicted_change > 0.0
        and max(losses) > _RISE * losses[0]
    )


def _scale(optimizer: torch.optim.Optimizer, part: float) -> None:
    for group in optimizer.param_groups:
        if "lr" in group:
            group["lr"] = group["lr"] * part


def _mean_loss(walk: Walk, batches: Sequence[Batch]) -> float:
    return sum(walk.loss(batch) for batch in batches) / len(batches)
