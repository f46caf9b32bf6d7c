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

from unvanish.observe.batch import Batch, as_batch, call_model
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A patient about to be trained: one step is `forward`, `backward`, `update`.

    Attributes:
        model: The network, in training mode.
        optimizer: Steps its parameters.
        loss: ``loss(output, target)`` or a name.
        data: Yields the batches of one pass; takes a seed.
        seed: Seed of the data order.
        clip_grad_norm: Largest gradient norm, or None.
        autocast: ``"bfloat16"``, ``"float16"`` or None.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    loss: Any
    data: Callable[[int], Iterator[Any]]
    seed: int
    clip_grad_norm: float | None = None
    autocast: str | None = None

    def batches(self) -> Iterator[Batch]:
        """Yield batches without end, one pass after the other."""
        epoch = 0
        while True:
            for raw in self.data(1000 * self.seed + epoch):
                yield as_batch(raw, self.model)
            epoch += 1

    def forward(self, batch: Batch) -> Tensor:
        """Return the loss of a batch, the gradients of the last one cleared."""
        self.optimizer.zero_grad(set_to_none=True)
        with _autocast(self.autocast):
            return compute_loss(self.loss, call_model(self.model, batch.inputs), batch)[0]

    def backward(self, loss: Tensor) -> None:
        """Fill the gradients; a loss that depends on no parameter leaves them empty."""
        if loss.grad_fn is not None:
            loss.backward()

    def update(self) -> None:
        """Clip the gradients, where the recipe says so, and step the parameters."""
        if self.clip_grad_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_grad_norm)
        self.optimizer.step()


def begin(name: str, *, cured: bool = False, seed: int = 0) -> Trial:
    """Build a patient and what trains it, from the random state as it is.

    Args:
        name: Name of the patient.
        cured: Whether to apply the known cure, where there is one.
        seed: Seed of the data order.

    Returns:
        The trial, before its first step.

    Raises:
        UnvanishError: If there is no such patient.
    """
    module = module_of(name)
    patient: Patient = module.PATIENT
    cured = cured and patient.is_sick
    model: nn.Module = _part(module, "model", cured=cured, network=True)()
    optimizer = _part(module, "optimizer", cured=cured)(model)
    model.train()
    return Trial(
        model=model,
        optimizer=optimizer,
        loss=_part(module, "loss", cured=cured),
        data=_part(module, "data", cured=cured),
        seed=seed,
        clip_grad_norm=_setting(module, "CLIP_GRAD_NORM", cured=cured),
        autocast=_setting(module, "AUTOCAST", cured=cured),
    )


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
    with seeded(seed):
        trial = begin(name, cured=cured, seed=seed)
        last = math.nan
        for number, batch in enumerate(trial.batches()):
            if number == budget:
                break
            loss = trial.forward(batch)
            trial.backward(loss)
            trial.update()
            last = float(loss.detach())
            if not math.isfinite(last):
                break
        metric = _metric(module, trial.model) if math.isfinite(last) else math.nan
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


def _autocast(precision: str | None) -> AbstractContextManager[Any]:
    if not precision:
        return nullcontext()
    return torch.autocast("cpu", dtype=getattr(torch, precision))


def _metric(module: ModuleType, model: nn.Module) -> float:
    model.eval()
    return float(module.metric(model))
