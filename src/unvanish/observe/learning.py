"""A short training of a copy where little gradient reaches the early layers.

Theory says how small a gradient is, and not from where on an optimiser that rescales every
parameter can no longer make up for it. A copy that learns the probe batches by heart has shown
that it still can.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

import torch
from torch import nn

from unvanish.core.conditions import ShortTraining
from unvanish.core.flow import gradient_flow
from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording
from unvanish.observe.batch import Batch, tensors_in
from unvanish.observe.look import Conditions
from unvanish.observe.optimizer import OptimizerLike, copy_with_optimizer
from unvanish.observe.steps import Walk, needs_closure

_log = logging.getLogger(__name__)

_STEPS: Final = 60
_LARGEST: Final = 2_000_000
"""Parameters of the largest network that is trained."""
_LEAST_LOST: Final = 3.0
"""Decades of gradient lost from which on it is asked."""
_MOST_LOST: Final = 6.0
"""Decades from which on the answer would change nothing."""


def try_to_learn(
    model: nn.Module,
    optimizer: OptimizerLike,
    batches: Sequence[Batch],
    conditions: Conditions,
    clip_grad_norm: float | None,
    recording: Recording,
) -> ShortTraining | None:
    """Train a copy of a network on the probe batches, where its gradient all but vanishes.

    Args:
        model: The model; only its copy is trained.
        optimizer: As given to `trace`.
        batches: Used in turn.
        conditions: Loss, seed, autocast.
        clip_grad_norm: Largest total gradient norm, or None.
        recording: What was measured of the network.

    Returns:
        What was learnt; None where there was no reason to ask, where the network is large, where
        no two batches can exchange their targets, or where the copy could not be trained.
    """
    if sum(p.numel() for p in model.parameters()) > _LARGEST or not _is_doubtful(recording):
        return None
    mismatched = _mismatched(batches)
    if not mismatched:
        return None
    try:
        twin, twin_optimizer = copy_with_optimizer(model, optimizer)
        if needs_closure(twin_optimizer):
            return None
        walk = Walk(twin, twin_optimizer, conditions, clip_grad_norm)
        before = walk.mean_loss(batches)
        walk.train(batches, _STEPS)
        return ShortTraining(
            steps=_STEPS,
            loss_before=before,
            loss_after=walk.mean_loss(batches),
            loss_mismatched=walk.mean_loss(mismatched),
        )
    except Exception:
        _log.debug("the probe batches could not be trained on", exc_info=True)
        return None


def _is_doubtful(recording: Recording) -> bool:
    """Tell whether the gradient is small somewhere, and not hopelessly so."""
    flow = gradient_flow(recording, Quantity.LOG10_PROBE_GRAD_RMS) or gradient_flow(
        recording, Quantity.LOG10_ACTIVATION_GRAD_RMS
    )
    if flow is None:
        return False
    most = max((flow.lost(level) for level in flow.levels), default=0.0)
    return _LEAST_LOST < most < _MOST_LOST


def _mismatched(batches: Sequence[Batch]) -> list[Batch]:
    """Return the batches, each with the target of the next one of the same shapes."""
    if len(batches) < 2:
        return []
    pairs = zip(batches, [*batches[1:], batches[0]], strict=True)
    made = [Batch(one.inputs, other.target) for one, other in pairs if _are_alike(one, other)]
    return made if len(made) == len(batches) else []


def _are_alike(one: Batch, other: Batch) -> bool:
    if not isinstance(one.target, torch.Tensor) or not isinstance(other.target, torch.Tensor):
        return False
    shapes = ([t.shape for t in tensors_in(each.inputs)] for each in (one, other))
    return one.target.shape == other.target.shape and next(shapes) == next(shapes)
