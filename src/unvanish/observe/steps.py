"""A few optimiser steps on a copy: what the user's optimiser would really change.

They tell a gate that starts at zero (ReZero, LoRA) from one that is dead, give the
relative update of every parameter under any optimiser, without a formula for each, and
show whether a step of this length lowers the loss that it was made for.
"""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import torch
from torch import Tensor, nn

from unvanish.core.conditions import ProbeStep
from unvanish.core.errors import UnvanishError
from unvanish.core.incidents import Gap
from unvanish.observe.batch import Batch, call_model, map_tensors
from unvanish.observe.copies import hooked
from unvanish.observe.guard import ModelSnapshot, seed_everything
from unvanish.observe.look import Conditions, running
from unvanish.observe.loss import compute_loss
from unvanish.observe.optimizer import (
    OptimizerLike,
    Update,
    copy_with_optimizer,
    learning_rates,
    updates,
)
from unvanish.observe.statistics.magnitude import dense_values, dot64

_log = logging.getLogger(__name__)

_FRACTIONS: Final = (1.0, 0.1, 0.01, 0.001)
"""Parts of the first step at which the loss is read, until its curvature shows."""

_SMALL_CHANGE: Final = 0.01
"""Share of the loss by which it is to change where its slope is read off differences."""

_CLEAR_OF_ROUNDING: Final = 16.0
"""Rounding errors of the loss that a difference of losses must exceed to mean something."""


@dataclass(slots=True)
class Steps:
    """The copy after its steps, what the first did to each parameter, all to the loss."""

    model: nn.Module | None = None
    updates: Mapping[str, Update] = field(default_factory=dict)
    taken: tuple[ProbeStep, ...] = ()


def take_steps(
    model: nn.Module,
    optimizer: OptimizerLike,
    batches: Sequence[Batch],
    conditions: Conditions,
    count: int,
    clip_grad_norm: float | None,
    gaps: list[Gap],
    *,
    in_doubt: bool = False,
) -> Steps:
    """Train a copy of the model for a few steps, as the user would.

    Args:
        model: The model; only its copy is trained.
        optimizer: As given to `trace`.
        batches: Used in turn.
        conditions: Loss, seed, autocast.
        count: Number of steps; 0 takes none.
        clip_grad_norm: Largest total gradient norm, or None.
        gaps: Where a failure is noted; it is never an error.
        in_doubt: Whether the gradient may not be that of the loss, since the forward pass
            writes behind autograd's back; then its slope is compared with differences.

    Returns:
        The copy, the first step's updates, and the loss around every step; empty where no
        step could be taken.
    """
    if count == 0:
        gaps.append(Gap("the optimiser's updates", "probe steps were switched off"))
        return Steps()
    try:
        twin, twin_optimizer = copy_with_optimizer(model, optimizer)
        walk = Walk(twin, twin_optimizer, conditions, clip_grad_norm, in_doubt)
        first, moved = walk.first_step(batches[0])
        taken = [first]
        for number in range(1, count):
            step = walk.step(batches[number % len(batches)])
            if len(batches) == 1 and number > 1:
                taken[-1] = replace(taken[-1], loss_after=step.loss_before)
            taken.append(step)
        if count > 1:
            last = walk.loss(batches[(count - 1) % len(batches)])
            taken[-1] = replace(taken[-1], loss_after=last)
        twin_optimizer.zero_grad(set_to_none=True)
    except Exception as error:
        _log.debug("probe steps failed", exc_info=True)
        text = str(error).strip().splitlines()
        kind = "" if isinstance(error, UnvanishError) else f"{type(error).__name__}: "
        why = f"{kind}{text[0] if text else ''}"
        gaps.append(Gap("the optimiser's updates", f"a copy could not be trained: {why}"))
        return Steps()
    return Steps(twin, moved, tuple(taken))


@dataclass(frozen=True, slots=True)
class _Taken:
    """One step: the loss before it, how often it was asked for, the factor of the clipping."""

    loss: float
    calls: int
    clip: float


@dataclass(frozen=True, slots=True)
class Walk:
    """Steps of one optimiser on one copy, all under the same random numbers.

    Attributes:
        model: The copy.
        optimizer: The optimiser that steps it.
        conditions: Loss, seed, autocast.
        clip_grad_norm: Largest total gradient norm, or None.
        in_doubt: Whether to compare the gradient with differences of the loss.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    conditions: Conditions
    clip_grad_norm: float | None
    in_doubt: bool = False

    def first_step(self, batch: Batch) -> tuple[ProbeStep, dict[str, Update]]:
        """Take the first step, and look at the loss along the way it went."""
        start = ModelSnapshot(self.model)
        taken = self._take(batch)
        moved = updates(self.model, start.values, learning_rates(self.optimizer))
        predicted = math.nan
        own = (
            next(hooked(self.model), None) is None
        )  # else .grad is what the hooks made of the gradient
        if taken.calls == 1 and taken.clip > 0 and own:  # else the gradient at the start is gone
            predicted = _slope(self.model, start.values) / taken.clip
        self.optimizer.zero_grad(set_to_none=True)
        end = ModelSnapshot(self.model)
        step = ProbeStep(loss_before=taken.loss, predicted_change=predicted)
        try:
            along, written = self._along(batch, start, end, taken.loss, predicted)
            step = replace(step, loss_after=along[0], curvature_ratio=along[1])
            if self.in_doubt and predicted < 0.0:
                measured = self._slope_by_differences(batch, start, end, step)
                step = replace(step, slope_ratio=measured / predicted)
            kept = self._kept(batch, start, end, written)
        finally:
            end.restore()
        return step, {
            name: replace(update, kept=kept.get(name, math.nan)) for name, update in moved.items()
        }

    def step(self, batch: Batch) -> ProbeStep:
        """Take one more step, without a look along the way."""
        return ProbeStep(loss_before=self._take(batch).loss)

    def train(self, batches: Sequence[Batch], count: int) -> None:
        """Take so many steps on batches in turn, or as many as the loss stays a number for."""
        for number in range(count):
            if not math.isfinite(self.step(batches[number % len(batches)]).loss_before):
                return

    def mean_loss(self, batches: Sequence[Batch]) -> float:
        """Return the mean loss over batches where the copy stands."""
        return sum(self.loss(batch) for batch in batches) / len(batches)

    def loss(self, batch: Batch) -> float:
        """Return the loss of a batch where the copy stands; ``nan`` where it has none."""
        try:
            return _value(self._forward(batch))
        except Exception:
            _log.debug("the loss after a step could not be read", exc_info=True)
            return math.nan

    def _take(self, batch: Batch) -> _Taken:
        losses: list[float] = []
        clips: list[float] = []

        def closure() -> Tensor:
            self.optimizer.zero_grad(set_to_none=True)
            loss = self._forward(batch)
            if loss.grad_fn is not None:
                loss.backward()
            losses.append(_value(loss))
            clips.append(self._clip())
            return loss.detach()

        if needs_closure(self.optimizer):
            self.optimizer.step(closure)  # type: ignore[arg-type]
        else:
            closure()
            self.optimizer.step()
        return _Taken(losses[0], len(losses), clips[0])

    def _forward(self, batch: Batch) -> Tensor:
        seed_everything(self.conditions.seed)
        device = next((p.device for p in self.model.parameters()), torch.device("cpu"))
        with running(self.conditions, device):
            fresh = Batch(map_tensors(batch.inputs, lambda t: t.detach().clone()), batch.target)
            output = call_model(self.model, fresh.inputs)
            return compute_loss(self.conditions.loss, output, fresh)[0]

    def _clip(self) -> float:
        """Clip as the user does, and return the factor the gradient was multiplied by."""
        if self.clip_grad_norm is None:
            return 1.0
        norm = float(nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_grad_norm))
        return min(1.0, self.clip_grad_norm / (norm + 1e-6))

    def _slope_by_differences(
        self, batch: Batch, start: ModelSnapshot, end: ModelSnapshot, step: ProbeStep
    ) -> float:
        """Return the slope of the loss along a step, from two readings close to its start."""
        part = min(1.0, _SMALL_CHANGE * abs(step.loss_before) / -step.predicted_change)
        losses = []
        for fraction in (part, -part):
            start.restore()
            _move(self.model, end.values, fraction)
            losses.append(self.loss(batch))
        return (losses[0] - losses[1]) / (2.0 * part)

    def _written(self, state: ModelSnapshot) -> dict[str, Tensor]:
        """Return the parameters that a forward pass from a state has written into."""
        values = state.values
        return {
            name: parameter.detach().clone()
            for name, parameter in self.model.named_parameters()
            if parameter.layout is torch.strided
            and id(parameter) in values
            and parameter.shape == values[id(parameter)].shape
            and not torch.equal(parameter, values[id(parameter)])
        }

    def _kept(
        self, batch: Batch, start: ModelSnapshot, end: ModelSnapshot, later: Mapping[str, Tensor]
    ) -> dict[str, float]:
        """Return how much of the step is left in the parameters that a forward pass writes into.

        Args:
            batch: The batch of the step.
            start: Before the step.
            end: After it.
            later: After it and the next forward pass.
        """
        if not later:
            return {}
        start.restore()
        self.loss(batch)
        earlier = self._written(start)
        first, last = start.values, end.values
        kept = {}
        for name, parameter in self.model.named_parameters():
            if name in later and parameter.is_floating_point():
                before = earlier.get(name, first[id(parameter)]).double()
                after = later[name].double()
                in_use = (before != 0.0) | (after != 0.0)  # what a mask shuts is meant to be
                step = float((last[id(parameter)].double() - before)[in_use].norm())
                if step > 0.0:
                    kept[name] = float((after - before)[in_use].norm()) / step
        return kept

    def _along(
        self, batch: Batch, start: ModelSnapshot, end: ModelSnapshot, before: float, slope: float
    ) -> tuple[tuple[float, float], dict[str, Tensor]]:
        """Return the loss at the end of a step, and the curvature ratio along it.

        Beside them stand the parameters that the forward pass at the end wrote into.

        The loss at the part t of the step is L + t s + t^2 c / 2 with the slope s of the
        gradient and the curvature c of the Hessian along the step. c follows from one
        reading of the loss. Where a whole step leaves the range in which that holds and
        raises the loss, a tenth of it is read, and so on.
        """
        ratio = after = math.nan
        written: dict[str, Tensor] = {}
        for fraction in _FRACTIONS:
            start.restore()
            _move(self.model, end.values, fraction)
            loss = self.loss(batch)
            if fraction == 1.0:
                after, written = loss, self._written(end)
            if not math.isfinite(loss):
                continue
            bend = loss - before - fraction * slope
            rounding = self._rounding() * max(abs(before), abs(loss))
            if not slope < 0.0 or not abs(bend) > _CLEAR_OF_ROUNDING * rounding:
                break
            ratio = bend / (0.5 * fraction**2 * -slope)
            if fraction * ratio <= 1.0 or loss <= before:
                break
        return (after, ratio), written

    def _rounding(self) -> float:
        """Relative rounding error of the loss in the coarsest type of the forward pass."""
        types = {p.dtype for p in self.model.parameters() if p.is_floating_point()}
        if self.conditions.autocast:
            types.add(getattr(torch, self.conditions.autocast))
        return max((torch.finfo(dtype).eps for dtype in types), default=0.0)


def _value(loss: Tensor) -> float:
    value = float(loss.detach().real)
    return math.inf if math.isnan(value) else value


def _slope(model: nn.Module, before: Mapping[int, Tensor]) -> float:
    """Return <gradient, w after - w before>; ``nan`` where a gradient has no dense form."""
    parts: list[Tensor] = []
    for parameter in model.parameters():
        old, grad = before.get(id(parameter)), parameter.grad
        if grad is None or grad.numel() == 0:
            continue
        if old is None or grad.layout not in (torch.strided, torch.sparse_coo):
            return math.nan
        change = parameter.detach() - old
        if grad.layout is torch.sparse_coo:
            grad = grad.coalesce()
            change = change[tuple(grad.indices())]
        if grad.numel():
            parts.append(dot64(dense_values(grad), dense_values(change)))
    return float(torch.stack([part.to(parts[0].device) for part in parts]).sum()) if parts else 0.0


def _move(model: nn.Module, goal: Mapping[int, Tensor], fraction: float) -> None:
    """Move every parameter the given part of the way to its goal."""
    with torch.no_grad():
        for parameter in model.parameters():
            value = goal.get(id(parameter))
            if value is None or not (value.is_floating_point() or value.is_complex()):
                continue
            if fraction == 1.0:
                parameter.copy_(value)
            else:
                parameter.lerp_(value, fraction)


def needs_closure(optimizer: torch.optim.Optimizer) -> bool:
    """Tell whether ``step`` cannot be called without a closure, as that of LBFGS."""
    try:
        parameters = inspect.signature(type(optimizer).step).parameters.values()
    except (TypeError, ValueError):
        return False
    return sum(p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters) > 1
