"""A longer look at a learning rate that the probe steps make look too large, or too small."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Final

import torch
from torch import nn

from unvanish.core.conditions import ProbeStep, RateTrial
from unvanish.core.records import Parameter, Recording
from unvanish.core.wiring import Wiring
from unvanish.observe.batch import Batch
from unvanish.observe.look import Conditions
from unvanish.observe.optimizer import OptimizerLike, copy_with_optimizer
from unvanish.observe.steps import Walk, needs_closure

_log = logging.getLogger(__name__)

_STEPS: Final = 30
"""Steps of each run: momentum of 0.9 has grown to 96 % of its full size after them."""

_RISE: Final = 1.05
"""Factor above the first loss at which one of the probe steps makes the rate suspicious."""

_LOWER: Final = 0.1
_HIGHER: Final = 100.0
_HIGHER_IF_RELATIVE: Final = 1000.0
"""Times the learning rate that is tried beside it, at least. Adadelta's is a share of steps that it
measures itself: between the 0.001 that some libraries give it and the 1 of its paper lie three
decades."""

_WHOLE: Final = 1e-2
"""Relative change of a matrix in a step of ordinary length: where the factor above comes to less,
it grows to the power of ten that comes nearest to this."""

_SHORT: Final = 1e-4
_SHORT_IF_RESCALED: Final = 5e-4
"""Relative change of a matrix in a step below which the rate looks too small, unless it is far
below: see `_STILL`."""

_SHORT_IF_WANING: Final = 5e-3
_WANING: Final = frozenset({"Adagrad"})
"""The same under optimisers whose steps become shorter by themselves, as 1 / sqrt(t), and these."""

_SHORT_IF_HELD: Final = 1e-3
"""The same where the step is less than a tenth of what the learning rate says: something like eps
holds it back."""

_HELD: Final = 0.1

_SHORT_IF_FINE: Final = 1.5e-3
_FINE: Final = 5e-5
"""The same at a rate that is usual for fine-tuning, and that rate, under optimisers of Adam's
kin."""

_STILL: Final = 2.0**-24
"""Below this there is no need to try: the step is lost in rounding."""

_WARM_UP: Final = frozenset({"RAdam"})
"""Optimisers whose first steps are shorter than the later ones, whatever the rate."""

_LITTLE: Final = 0.6
"""Share of the first loss above which little was learnt."""

_USUAL: Final = 0.9
_HEAVY: Final = 0.99
"""Momentum of most recipes, and the one from which on a network is trained to see where it leads:
the steps of the probe are over before it has gathered speed."""

_LARGEST: Final = 20_000_000
"""Parameters of the largest network that is trained so long."""

_SLOWER: Final = 150
_LEADS: Final = 10.0
"""Steps of each run where neither rate has learnt in the first ones, but the higher one has taken
this many times as much off the loss. SGD's steps grow as a network learns."""

_LONGER: Final = 60
"""Steps of each run of a network whose sums are normalised: at a tenth of its learning rate it
is slow, at the whole it sinks without a rise of the loss."""

_SLOW_AT_LEAST: Final = 0.8
_AHEAD: Final = 0.9
_AHEAD_BY_FAR: Final = 0.8
"""Share of the first loss that is left where little was learnt, and shares of it between which the
loss at a tenth of the rate says that as many steps again are worth their time."""

_LARGEST_LONGER: Final = 2_000_000
"""The same of the largest network that is trained for so many steps."""

_NORMS: Final = frozenset({"layer_norm", "rms_norm"})

_MOST_SUMS: Final = 6
"""Sums normalised one after the other from which on that is done: three blocks of an encoder."""


def try_other_rate(
    model: nn.Module,
    optimizer: OptimizerLike,
    batches: Sequence[Batch],
    conditions: Conditions,
    clip_grad_norm: float | None,
    taken: Sequence[ProbeStep],
    recording: Recording,
    own: torch.optim.Optimizer,
) -> RateTrial | None:
    """Train two copies of a network, at the user's learning rate and at a multiple of it.

    Nothing is tried where neither the probe steps nor a stack of normalised sums give reason to,
    nor where the network is large: the runs take as long as all the rest of a look at it.

    Args:
        model: The model; only its copies are trained.
        optimizer: As given to `trace`.
        batches: Used in turn.
        conditions: Loss, seed, autocast.
        clip_grad_norm: Largest total gradient norm, or None.
        taken: The probe steps.
        recording: What was measured of the network.
        own: The optimiser itself.

    Returns:
        Where both led; None where nothing was tried, or a copy could not be trained.
    """
    coasting = _coasting(model, own)
    if _looks_slow(model, taken, recording, own):
        steps, factor = _STEPS, _higher(recording, own)
    elif coasting:
        steps, factor = _SLOWER, coasting
    else:
        steps, factor = _steps(model, taken, recording), _LOWER
    if not steps:
        return None
    if needs_closure(own):
        return None

    def walk_at(part: float) -> Walk:
        twin, twin_optimizer = copy_with_optimizer(model, optimizer)
        _scale(twin_optimizer, part)
        return Walk(twin, twin_optimizer, conditions, clip_grad_norm)

    try:
        walks = [walk_at(1.0), walk_at(factor)]
        before = walks[0].mean_loss(batches)
        ends = [_end(walk, batches, steps) for walk in walks]
        if factor > 1.0 and not ends[1] <= before:
            factor = math.sqrt(factor)
            walks[1] = walk_at(factor)
            ends[1] = _end(walks[1], batches, steps)
        if factor > 1.0 and _leads(before, *ends):
            ends = [_end(walk, batches, _SLOWER - steps) for walk in walks]
            steps = _SLOWER
        elif steps == _LONGER and _may_lead(before, *ends):
            ends = [_end(walk, batches, _LONGER) for walk in walks]
            steps = 2 * _LONGER
    except Exception:
        _log.debug("the learning rates could not be compared", exc_info=True)
        return None
    after, scaled = ends
    return RateTrial(
        steps=steps, loss_before=before, loss_after=after, loss_after_scaled=scaled, factor=factor
    )


def _end(walk: Walk, batches: Sequence[Batch], steps: int) -> float:
    """Return the mean loss over the batches after further steps."""
    walk.train(batches, steps)
    return walk.mean_loss(batches)


def _leads(before: float, after: float, scaled: float) -> bool:
    """Tell whether both rates have learnt little, and the higher one far more than the other."""
    ahead = before - scaled > _LEADS * max(0.0, before - after)
    return ahead and min(after, scaled) > _LITTLE * before


def _may_lead(before: float, after: float, lower: float) -> bool:
    """Tell whether a lower rate is ahead of one that has learnt little, and not by enough yet."""
    return after > _SLOW_AT_LEAST * before and _AHEAD_BY_FAR * after < lower < _AHEAD * after


def _steps(model: nn.Module, taken: Sequence[ProbeStep], recording: Recording) -> int:
    """Return how many steps at a lower rate are worth their time; 0 for none.

    The loss has to have risen on the way, to a number that training may still come from. Where
    many sums are normalised it need not: the samples then become alike without it.
    """
    size = sum(p.numel() for p in model.parameters())
    losses = [v for step in taken for v in (step.loss_before, step.loss_after) if v == v]
    may_go_on = (
        len(losses) > 1
        and all(math.isfinite(value) for value in losses)
        and losses[0] > 0.0
        and not taken[0].predicted_change > 0.0
    )
    if may_go_on and size <= _LARGEST_LONGER and _normalised_sums(recording) >= _MOST_SUMS:
        return _LONGER
    return _STEPS if may_go_on and size <= _LARGEST and max(losses) > _RISE * losses[0] else 0


def _coasting(model: nn.Module, own: torch.optim.Optimizer) -> float:
    """Return the part of the rate that adds up, at its momentum, to what it would at 0.9.

    0 where the momentum is an ordinary one, or the network large.
    """
    given = [group.get("momentum") or group.get("betas", (0.0,))[0] for group in own.param_groups]
    most = max((float(momentum) for momentum in given), default=0.0)
    size = sum(p.numel() for p in model.parameters())
    if not _HEAVY <= most < 1.0 or size > _LARGEST_LONGER:
        return 0.0
    return (1.0 - most) / (1.0 - _USUAL)


def _looks_slow(
    model: nn.Module, taken: Sequence[ProbeStep], recording: Recording, own: torch.optim.Optimizer
) -> bool:
    """Tell whether the first step changed all matrices next to nothing, and the right way."""
    moved = _moved(recording)
    if type(own).__name__ in _WARM_UP or "warmup_steps" in own.defaults:
        return False
    rescales = "eps" in own.defaults
    is_held = rescales and all(p.update_ratio * p.rms < _HELD * p.learning_rate for p in moved)
    is_fine = rescales and max((p.learning_rate for p in moved), default=1.0) <= _FINE
    short = _SHORT_IF_RESCALED if rescales else _SHORT
    short = _SHORT_IF_FINE if is_fine else _SHORT_IF_HELD if is_held else short
    short = _SHORT_IF_WANING if type(own).__name__ in _WANING else short
    return (
        bool(taken)
        and _STILL <= max((p.update_ratio for p in moved), default=0.0) < short
        and taken[0].loss_before > 0.0
        and taken[0].predicted_change < 0.0
        and sum(p.numel() for p in model.parameters()) <= _LARGEST
    )


def _higher(recording: Recording, own: torch.optim.Optimizer) -> float:
    """Return the factor at which the largest change of a matrix is an ordinary one."""
    if type(own).__name__ == "Adadelta":
        return _HIGHER_IF_RELATIVE
    largest = max(p.update_ratio for p in _moved(recording))
    return float(max(_HIGHER, 10.0 ** round(math.log10(_WHOLE / largest))))


def _moved(recording: Recording) -> list[Parameter]:
    """Return the matrices with the relative change of the first step."""
    return [
        p
        for p in recording.parameters
        if len(p.shape) >= 2 and p.rms > 0.0 and math.isfinite(p.update_ratio)
    ]


def _normalised_sums(recording: Recording) -> int:
    """Count the sums of a branch and what it begins from that only a normalisation uses.

    What it makes is in turn where the next branch begins, and what that is added to.
    """
    wiring = Wiring(recording)
    found = 0
    for join in wiring.joins():
        after = wiring.consumers(join)
        if join.op == "add" and len(after) == 1 and after[0].op in _NORMS:
            found += len(wiring.consumers(after[0])) > 1
    return found


def _scale(optimizer: torch.optim.Optimizer, part: float) -> None:
    for group in optimizer.param_groups:
        if "lr" in group:
            group["lr"] = group["lr"] * part
