"""The optimiser the user really uses: described, and tried for a few steps on a copy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from unvanish.core.errors import BatchError, UnvanishError
from unvanish.core.records import Optimizer
from unvanish.observe.copies import copied
from unvanish.observe.statistics.magnitude import dense_values, norms

OptimizerLike = torch.optim.Optimizer | Callable[[nn.Module], torch.optim.Optimizer] | None


def default_optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Return AdamW with learning rate 1e-3, what is assumed where nothing is given.

    A model with sparse embeddings gets SGD with 1e-2: AdamW takes no sparse gradients.
    """
    if any(getattr(module, "sparse", False) is True for module in model.modules()):
        return torch.optim.SGD((p for p in model.parameters() if p.requires_grad), lr=1e-2)
    return torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=1e-3)


def build_optimizer(optimizer: OptimizerLike, model: nn.Module) -> torch.optim.Optimizer:
    """Return an optimiser for `model`: the given one, or what the factory makes.

    Raises:
        BatchError: If the factory fails or returns something else.
    """
    if optimizer is None:
        return default_optimizer(model)
    if isinstance(optimizer, torch.optim.Optimizer):
        return optimizer
    try:
        made: Any = optimizer(model)
    except UnvanishError:
        raise
    except Exception as error:
        raise BatchError(
            f"optimizer(model) raised {type(error).__name__}: {error}",
            help="def optimizer(model): return torch.optim.AdamW(model.parameters(), lr=1e-3)",
        ) from error
    if not hasattr(made, "param_groups") or not hasattr(made, "step"):
        raise BatchError(
            f"optimizer(model) returned {type(made).__name__}, not an optimiser",
            help="def optimizer(model): return torch.optim.AdamW(model.parameters(), lr=1e-3)",
        )
    return made  # type: ignore[no-any-return]


def describe(optimizer: torch.optim.Optimizer, *, clip_grad_norm: float | None) -> Optimizer:
    """Return the settings of the first parameter group as a plain record."""
    group = optimizer.param_groups[0] if optimizer.param_groups else {}

    def number(key: str) -> float | None:
        value = group.get(key)
        return float(value) if isinstance(value, (int, float, Tensor)) else None

    betas = group.get("betas")
    return Optimizer(
        name=type(optimizer).__name__,
        lr=number("lr"),
        eps=number("eps"),
        betas=(float(betas[0]), float(betas[1])) if betas and len(betas) >= 2 else None,
        momentum=number("momentum"),
        weight_decay=number("weight_decay"),
        clip_grad_norm=clip_grad_norm,
    )


def held_parameters(optimizer: torch.optim.Optimizer) -> set[int]:
    """Return the ids of the parameters an optimiser steps."""
    return {id(p) for group in optimizer.param_groups for p in group["params"]}


def copy_with_optimizer(
    model: nn.Module, optimizer: OptimizerLike
) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Copy a model together with its optimiser, which then steps the copy.

    Raises:
        Exception: Whatever `copy.deepcopy` raises for this model.
    """
    if isinstance(optimizer, torch.optim.Optimizer):
        twin, twin_optimizer = copied((model, optimizer))
    else:
        twin = copied(model)
        twin_optimizer = build_optimizer(optimizer, twin)
    for parameter in twin.parameters():
        parameter.grad = None
    return twin, twin_optimizer


def update_ratios(model: nn.Module, step: Callable[[], None]) -> dict[str, float]:
    """Run one step and return |w after - w before| / |w before| for every parameter.

    Args:
        model: The model that the step changes.
        step: Sets the gradients, clips them where the user does, and steps.

    Returns:
        Name to ratio; a parameter that was all zero before gives ``inf`` if it moved
        and 0.0 if it did not.
    """
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    step()
    ratios = {}
    for name, parameter in model.named_parameters():
        old = before.pop(name)
        if old.layout is not torch.strided or old.numel() == 0:
            continue
        change, size = norms([dense_values(parameter.detach() - old), dense_values(old)])
        ratios[name] = change / size if size else (math.inf if change else 0.0)
    return ratios
