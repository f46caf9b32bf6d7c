"""A few optimiser steps on a copy: what the user's optimiser would really change.

They tell a gate that starts at zero (ReZero, LoRA) from one that is dead, and give the
relative update of every parameter under any optimiser, without a formula for each.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from unvanish.core.records import Gap
from unvanish.observe.batch import Batch, call_model, map_tensors
from unvanish.observe.guard import seed_everything
from unvanish.observe.look import Conditions, running
from unvanish.observe.loss import compute_loss
from unvanish.observe.optimizer import OptimizerLike, copy_with_optimizer, update_ratios

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Steps:
    """The copy after its steps, and the relative update of the first step."""

    model: nn.Module | None = None
    updates: Mapping[str, float] = field(default_factory=dict)


def take_steps(
    model: nn.Module,
    optimizer: OptimizerLike,
    batches: Sequence[Batch],
    conditions: Conditions,
    count: int,
    clip_grad_norm: float | None,
    gaps: list[Gap],
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

    Returns:
        The copy and the first step's updates; empty where no step could be taken.
    """
    if count == 0:
        gaps.append(Gap("the optimiser's updates", "probe steps were switched off"))
        return Steps()
    try:
        twin, twin_optimizer = copy_with_optimizer(model, optimizer)
        steps = Steps(twin)
        seed_everything(conditions.seed)

        def step(batch: Batch) -> None:
            def closure() -> Tensor:
                twin_optimizer.zero_grad(set_to_none=True)
                loss = _backward(twin, batch, conditions)
                if clip_grad_norm is not None:
                    nn.utils.clip_grad_norm_(twin.parameters(), clip_grad_norm)
                return loss

            if _needs_closure(twin_optimizer):
                twin_optimizer.step(closure)  # type: ignore[arg-type]
            else:
                closure()
                twin_optimizer.step()

        for number in range(count):
            batch = batches[number % len(batches)]
            if number == 0:
                steps.updates = update_ratios(twin, lambda: step(batches[0]))
            else:
                step(batch)
        twin_optimizer.zero_grad(set_to_none=True)
    except Exception as error:
        _log.debug("probe steps failed", exc_info=True)
        text = str(error).strip().splitlines()
        why = f"{type(error).__name__}: {text[0] if text else ''}"
        gaps.append(Gap("the optimiser's updates", f"a copy could not be trained: {why}"))
        return Steps()
    return steps


def _needs_closure(optimizer: torch.optim.Optimizer) -> bool:
    """Tell whether ``step`` cannot be called without a closure, as that of LBFGS."""
    try:
        parameters = inspect.signature(type(optimizer).step).parameters.values()
    except (TypeError, ValueError):
        return False
    return sum(p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters) > 1


def _backward(twin: nn.Module, batch: Batch, conditions: Conditions) -> Tensor:
    device = next((p.device for p in twin.parameters()), torch.device("cpu"))
    with running(conditions, device):
        fresh = Batch(map_tensors(batch.inputs, lambda t: t.detach().clone()), batch.target)
        output = call_model(twin, fresh.inputs)
        loss, _, _ = compute_loss(conditions.loss, output, fresh)
    if loss.grad_fn is not None:
        loss.backward()
    return loss.detach()
