"""Train a patient, sick or cured, for its budget: does the metric reach the goal?"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from unvanish.observe.batch import as_batch, call_model
from unvanish.observe.loss import compute_loss
from unvanish.recipe import seeded
from unvanish.zoo.patient import Patient, module_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one training run came to.

    Attributes:
        metric: Metric at the end; ``nan`` where the run diverged.
        goal: Metric that counts as trained.
        reached: Whether the metric is at the goal or beyond.
        steps: Steps taken.
        loss: Loss of the last step.
    """

    metric: float
    goal: float
    reached: bool
    steps: int
    loss: float


def train(name: str, *, cured: bool = False, seed: int = 0, steps: int | None = None) -> Outcome:
    """Train a patient as its own recipe says.

    Args:
        name: Name of the patient.
        cured: Whether to apply the known cure first.
        seed: Seed of weights, data order and everything random.
        steps: Optimiser steps; None for the patient's own budget.

    Returns:
        Whether the goal was reached, and how closely.

    Raises:
        UnvanishError: If there is no such patient.
    """
    module = module_of(name)
    patient: Patient = module.PATIENT
    budget = patient.steps if steps is None else steps
    if cured and not patient.is_sick:
        cured = False
    with seeded(seed):
        model = _part(module, "model", cured=cured, network=True)()
        optimizer = _part(module, "optimizer", cured=cured)(model)
        loss_of = _part(module, "loss", cured=cured)
        clip = _setting(module, "CLIP_GRAD_NORM", cured=cured)
        autocast = _setting(module, "AUTOCAST", cured=cured)
        last = math.nan
        model.train()
        for number, raw in enumerate(_batches(_part(module, "data", cured=cured), seed)):
            if number == budget:
                break
            last = _step(model, raw, loss_of, optimizer, clip, autocast)
            if not math.isfinite(last):
                break
        metric = _metric(module, model) if math.isfinite(last) else math.nan
    better = metric >= module.GOAL if module.HIGHER_IS_BETTER else metric <= module.GOAL
    return Outcome(
        metric=metric, goal=float(module.GOAL), reached=bool(better), steps=budget, loss=last
    )


def _part(
    module: ModuleType, name: str, *, cured: bool, network: bool = False
) -> Callable[..., Any]:
    remedy = "cured" if network else f"cured_{name}"
    found: Callable[..., Any] | None = getattr(module, remedy, None) if cured else None
    return found or getattr(module, name)


def _setting(module: ModuleType, name: str, *, cured: bool) -> Any:
    setting = getattr(module, name, None)
    return getattr(module, f"CURED_{name}", setting) if cured else setting


def _batches(data: Callable[[int], Iterator[Any]], seed: int) -> Iterator[Any]:
    epoch = 0
    while True:
        yield from data(1000 * seed + epoch)
        epoch += 1


def _step(
    model: nn.Module,
    raw: Any,
    loss_of: Any,
    optimizer: torch.optim.Optimizer,
    clip: float | None,
    autocast: str | None,
) -> float:
    batch = as_batch(raw, model)
    optimizer.zero_grad(set_to_none=True)
    with _autocast(autocast):
        loss: Tensor = compute_loss(loss_of, call_model(model, batch.inputs), batch)[0]
    if loss.grad_fn is not None:
        loss.backward()
    if clip is not None:
        nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    return float(loss.detach())


def _autocast(precision: str | None) -> AbstractContextManager[Any]:
    if not precision:
        return nullcontext()
    return torch.autocast("cpu", dtype=getattr(torch, precision))


def _metric(module: ModuleType, model: nn.Module) -> float:
    model.eval()
    return float(module.metric(model))
