"""A short training of a copy, where what was measured does not tell whether the network can learn.

Theory says how small a gradient is, and not from where on an optimiser that rescales every
parameter can no longer make up for it; that answers are far out, and not whether they come back in
time; that decay is stronger than the gradient of one batch, and not what a hundred of them have in
common; that dropout adds noise, and not whether the signal is still heard. A copy that learns the
probe batches by heart has shown that it still can.
"""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Sequence
from statistics import median
from typing import Any, Final

import torch
from torch import nn

from unvanish.core.conditions import RESCALES_DECAY, ShortTraining
from unvanish.core.flow import gradient_flow
from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording
from unvanish.core.scores import scores_of
from unvanish.observe.batch import Batch, call_model, tensors_in
from unvanish.observe.dropout import WithoutDropout
from unvanish.observe.guard import untouched
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
_MOST_DROPPED: Final = 0.5
"""Share of a signal that dropout may take without a question."""
_FEWEST_LAYERS: Final = 8
_FLAT: Final = 1.5
"""Median number of directions that samples differ in, below which it is asked."""
_ALIKE: Final = 1e-6
"""Share of the energy that tells samples apart, below which it is asked."""
_NEAR: Final = 1.0
"""Decades that a gradient may be above the decay: that of many batches is smaller."""
_MOST_MOMENTUM: Final = 0.99
"""Momentum beyond which a trial ends before steps have grown any more."""


def try_to_learn(
    model: nn.Module,
    optimizer: OptimizerLike,
    batches: Sequence[Batch],
    conditions: Conditions,
    clip_grad_norm: float | None,
    recording: Recording,
    own: torch.optim.Optimizer,
) -> ShortTraining | None:
    """Train a copy of a network on the probe batches, where there is reason to ask.

    The gradient all but vanishes, the samples become alike or differ in one direction only, the
    first answers are sure and wrong, the weight decay outweighs the gradient, or dropout takes more
    than half of a signal.

    Args:
        model: The model; only its copies are trained.
        optimizer: As given to `trace`.
        batches: Used in turn.
        conditions: Loss, seed, autocast.
        clip_grad_norm: Largest total gradient norm, or None.
        recording: What was measured of the network.
        own: The optimiser itself.

    Returns:
        What was learnt; None where there was no reason to ask, where the network is large, or where
        the copy could not be trained.
    """
    if sum(p.numel() for p in model.parameters()) > _LARGEST:
        return None
    mismatched = _mismatched(batches)
    is_far_out = any(scores.is_far_out for scores in scores_of(recording))
    is_decayed = _outweighs(own, recording)
    dropped = _dropped(model, batches[0], conditions) if _drops(recording) else 0.0
    is_dropped = dropped > _MOST_DROPPED
    vanishes = _vanishes(recording) and mismatched
    is_blind = _is_flat(recording) or _is_alike(recording)
    if not (is_far_out or is_decayed or is_dropped or vanishes or is_blind):
        return None
    try:
        twin, twin_optimizer = copy_with_optimizer(model, optimizer)
        if needs_closure(twin_optimizer):
            return None
        walk = Walk(twin, twin_optimizer, conditions, clip_grad_norm)
        before, whole = walk.mean_loss(batches), _undropped(walk, batches)
        walk.train(batches, _STEPS)
        undecayed = undropped = math.nan
        if is_decayed:
            freed, freed_optimizer = copy_with_optimizer(model, optimizer)
            for group in freed_optimizer.param_groups:
                group["weight_decay"] = 0.0
            other = Walk(freed, freed_optimizer, conditions, clip_grad_norm)
            other.train(batches, _STEPS)
            undecayed = other.mean_loss(batches)
        if is_dropped:
            other = Walk(*copy_with_optimizer(model, optimizer), conditions, clip_grad_norm)
            with WithoutDropout():
                other.train(batches, _STEPS)
            undropped = _undropped(other, batches)
        return ShortTraining(
            steps=_STEPS,
            loss_before=before,
            loss_after=walk.mean_loss(batches),
            loss_mismatched=walk.mean_loss(mismatched) if mismatched else math.nan,
            loss_undecayed=undecayed,
            dropped=dropped if is_dropped else math.nan,
            loss_whole_before=whole if is_dropped else math.nan,
            loss_whole_after=_undropped(walk, batches) if is_dropped else math.nan,
            loss_undropped=undropped,
        )
    except Exception:
        _log.debug("the probe batches could not be trained on", exc_info=True)
        return None


def _vanishes(recording: Recording) -> bool:
    """Tell whether the gradient is small somewhere, and not hopelessly so."""
    flow = gradient_flow(recording, Quantity.LOG10_PROBE_GRAD_RMS) or gradient_flow(
        recording, Quantity.LOG10_ACTIVATION_GRAD_RMS
    )
    if flow is None:
        return False
    most = max((flow.lost(level) for level in flow.levels), default=0.0)
    return _LEAST_LOST < most < _MOST_LOST


def _is_flat(recording: Recording) -> bool:
    """Tell whether most of many layers see samples that differ in one direction."""
    known = recording[Quantity.INPUT_EFFECTIVE_RANK]
    ranks = [known.get(site) for site in recording.signal_sites() if site.weights]
    ranks = [rank for rank in ranks if rank >= 0.0]
    return len(ranks) >= _FEWEST_LAYERS and median(ranks) < _FLAT


def _is_alike(recording: Recording) -> bool:
    """Tell whether the last layer sees next to nothing of what the samples differ by."""
    known = recording[Quantity.INPUT_SPREAD]
    layers = [s for s in recording.signal_sites() if s.weights and known.get(s) >= 0.0]
    ends = [site for site in layers if site.is_output] or layers[-1:]
    return bool(ends) and max(known[site] for site in ends) < _ALIKE


def _drops(recording: Recording) -> bool:
    """Tell whether a dropout was seen."""
    return any("dropout" in (site.op, site.function) for site in recording.sites)


def _dropped(model: nn.Module, batch: Batch, conditions: Conditions) -> float:
    """Return the largest share of a signal that dropout takes; 0 where it cannot be told."""
    without = WithoutDropout()
    with (
        untouched(model, seed=conditions.seed),
        torch.no_grad(),
        without,
        contextlib.suppress(Exception),
    ):
        call_model(model, batch.inputs)
    return without.largest


def _undropped(walk: Walk, batches: Sequence[Batch]) -> float:
    """Return the mean loss with nothing dropped."""
    with WithoutDropout():
        return walk.mean_loss(batches)


def _outweighs(optimizer: torch.optim.Optimizer, recording: Recording) -> bool:
    """Tell whether the decay may hold the network back.

    Added to a gradient that is rescaled, it counts where it is of that one's size, for some matrix;
    else where it takes most of the weights within the steps of a trial.
    """
    if type(optimizer).__name__ not in RESCALES_DECAY:
        return max(_decayed(group) for group in optimizer.param_groups) * _STEPS > 1.0
    decay = max(float(group.get("weight_decay") or 0.0) for group in optimizer.param_groups)
    if not decay > 0.0:
        return False
    return any(
        math.log10(decay * p.rms) + _NEAR > p.log10_grad_rms > -math.inf
        for p in recording.parameters
        if len(p.shape) >= 2 and p.rms > 0.0
    )


def _decayed(group: dict[str, Any]) -> float:
    """Return the share of its weights that decay takes in a step, once momentum has built up."""
    kept = 1.0 - min(float(group.get("momentum") or 0.0), _MOST_MOMENTUM)
    return float(group.get("lr") or 0.0) * float(group.get("weight_decay") or 0.0) / kept


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
