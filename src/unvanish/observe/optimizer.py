"""The optimiser the user really uses: described, and tried for a few steps on a copy."""

from __future__ import annotations

import copy
import gc
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from unvanish.core.conditions import Optimizer
from unvanish.core.errors import BatchError, UnvanishError
from unvanish.core.steppers import is_scheduled, note_scheduled, only_one, several
from unvanish.observe.copies import copied
from unvanish.observe.statistics.magnitude import dense_values, dot64, norm64

OptimizerLike = torch.optim.Optimizer | Callable[[nn.Module], torch.optim.Optimizer] | None


def default_optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Return AdamW with learning rate 1e-3, what is assumed where nothing is given.

    A model with sparse embeddings gets SGD with 1e-2: AdamW takes no sparse gradients.
    """
    if any(vars(module).get("sparse") is True for module in model.modules()):
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
        made: Any = only_one(optimizer(model))
    except UnvanishError:
        raise
    except Exception as error:
        raise BatchError(
            f"optimizer(model) raised {type(error).__name__}: {error}",
            help="def optimizer(model): return torch.optim.AdamW(model.parameters(), lr=1e-3)",
        ) from error
    if isinstance(made, list | tuple) and made:
        raise several(f"optimizer(model) returned {len(made)} optimisers")
    if not hasattr(made, "param_groups") or not hasattr(made, "step"):
        raise BatchError(
            f"optimizer(model) returned {type(made).__name__}, not an optimiser",
            help="def optimizer(model): return torch.optim.AdamW(model.parameters(), lr=1e-3)",
        )
    return made  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Update:
    """What one optimiser step did to one parameter.

    Attributes:
        ratio: |w after - w| / |w|; for a parameter that was all zero ``inf`` if it moved
            and 0.0 if it did not.
        turn: The same for the part of the step at right angles to w.
        learning_rate: Of the parameter's group; ``nan`` where no group holds it.
        moved: Share of the entries with a gradient that changed; ``nan`` for types of more
            than 16 bits, where hardly any step is rounded away.
        kept: Share of the step that is still there after the next forward pass, where that
            writes into the parameter; ``nan`` where it does not.
    """

    ratio: float
    turn: float
    learning_rate: float = math.nan
    moved: float = math.nan
    kept: float = math.nan


def describe(
    optimizer: torch.optim.Optimizer, model: nn.Module, *, clip_grad_norm: float | None
) -> Optimizer:
    """Return the settings of the first parameter group, and what else it holds, as a record."""
    group = optimizer.param_groups[0] if optimizer.param_groups else {}

    def number(key: str) -> float | None:
        value = group.get(key)
        return float(value) if isinstance(value, (int, float, Tensor)) else None

    betas = group.get("betas")
    return Optimizer(
        name=type(stepping(optimizer)).__name__,
        lr=number("lr"),
        eps=number("eps"),
        betas=(float(betas[0]), float(betas[1])) if betas and len(betas) >= 2 else None,
        momentum=number("momentum"),
        weight_decay=number("weight_decay"),
        clip_grad_norm=clip_grad_norm,
        initial_lr=number("initial_lr"),
        unsteered=_is_unsteered(optimizer),
        foreign=_foreign(optimizer, model),
    )


def _is_unsteered(optimizer: torch.optim.Optimizer) -> bool:
    """Return whether a scheduler set every learning rate to zero and exists no more.

    An optimiser does not hold its scheduler: one that a function made and did not return is gone.
    """
    groups = optimizer.param_groups
    if not groups or any(group["lr"] != 0 or not group.get("initial_lr") for group in groups):
        return False
    if is_scheduled(optimizer):
        return False
    gc.collect()
    kinds = torch.optim.lr_scheduler.LRScheduler
    return not any(
        issubclass(type(each), kinds) and each.optimizer is optimizer for each in gc.get_objects()
    )


def stepping(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """Return the optimiser that takes the steps: what a wrapper around it holds as ``inner``."""
    inner = getattr(optimizer, "inner", None)
    return stepping(inner) if isinstance(inner, torch.optim.Optimizer) else optimizer


def _foreign(optimizer: torch.optim.Optimizer, model: nn.Module) -> tuple[tuple[int, ...], ...]:
    """Return the shapes of the tensors that an optimiser holds and the network does not."""
    own = {id(p) for p in model.parameters()}
    held = (p for group in optimizer.param_groups for p in group["params"])
    return tuple(sorted({tuple(p.shape) for p in held if id(p) not in own}))


def follow(optimizer: OptimizerLike, original: nn.Module, model: nn.Module) -> OptimizerLike:
    """Return an optimiser for the copy that is looked at in place of the user's network.

    Args:
        optimizer: As given to `trace`; a factory is returned as it is.
        original: The network the user gave, with lazy layers or made in inference mode.
        model: Its copy.
    """
    if not isinstance(optimizer, torch.optim.Optimizer):
        return optimizer
    mine = dict(model.named_parameters())
    memo: dict[int, Any] = {
        id(p): mine[name] for name, p in original.named_parameters() if name in mine
    }
    twin: torch.optim.Optimizer = copy.deepcopy(optimizer, memo)
    if not _is_unsteered(optimizer):
        note_scheduled(twin)
    return twin


def held_names(optimizer: torch.optim.Optimizer, model: nn.Module) -> frozenset[str] | None:
    """Return the names of the parameters an optimiser steps.

    Args:
        optimizer: The user's optimiser.
        model: The network that was looked at.

    Returns:
        The names; None where it cannot be told, because the optimiser steps float32 copies
        of short weights, as mixed precision with master weights does.
    """
    held = [p for group in optimizer.param_groups for p in group["params"]]
    ids = {id(p) for p in held}
    names = {name for name, p in model.named_parameters() if id(p) in ids}
    short = any(p.dtype in (torch.float16, torch.bfloat16) for p in model.parameters())
    if not names and short and any(p.dtype is torch.float32 for p in held):
        return None
    return frozenset(names)


def learning_rates(optimizer: torch.optim.Optimizer) -> dict[int, float]:
    """Return the learning rate of every parameter that an optimiser steps, by its id."""
    return {
        id(p): float(group["lr"])
        for group in optimizer.param_groups
        if isinstance(group.get("lr"), (int, float, Tensor))
        for p in group["params"]
    }


def copy_with_optimizer(
    model: nn.Module, optimizer: OptimizerLike
) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Copy a model together with its optimiser, which then steps the copy.

    Raises:
        Exception: Whatever `copy.deepcopy` raises for this model.
    """
    if isinstance(optimizer, torch.optim.Optimizer):
        twin, twin_optimizer = copied((model, optimizer), hooks=True)
    else:
        twin = copied(model, hooks=True)
        twin_optimizer = build_optimizer(optimizer, twin)
    for parameter in twin.parameters():
        parameter.grad = None
    return twin, twin_optimizer


def updates(
    model: nn.Module, before: Mapping[int, Tensor], rates: Mapping[int, float]
) -> dict[str, Update]:
    """Return what a step did to every parameter.

    Args:
        model: The model after the step.
        before: The parameters' values before it, by id.
        rates: Their learning rates, by id.

    Returns:
        Name to update.
    """
    names: dict[str, tuple[int, float]] = {}
    numbers: list[Tensor] = []
    for name, parameter in model.named_parameters():
        old = before.get(id(parameter))
        if old is None or old.numel() == 0 or not (old.is_floating_point() or old.is_complex()):
            continue
        change, size = dense_values(parameter.detach() - old), dense_values(old)
        names[name] = (size.numel(), rates.get(id(parameter), math.nan))
        numbers += [norm64(change), norm64(size), dot64(change, size)]
        numbers += _moved(change, parameter.grad)
    together = [number.to(numbers[0].device) for number in numbers]
    read: list[float] = torch.stack(together).tolist() if together else []
    found = {}
    for i, (name, (count, rate)) in enumerate(names.items()):
        moved, length, along, changed, fed = read[5 * i : 5 * i + 5]
        share = min(1.0, changed / fed) if fed else math.nan
        if not length:
            ratio = math.inf if moved else 0.0
            found[name] = Update(ratio, ratio, rate, share)
            continue
        across = math.sqrt(max(0.0, moved**2 - (along / length) ** 2))
        turn = across / length if count > 1 else math.nan
        found[name] = Update(moved / length, turn, rate, share)
    return found


def _moved(change: Tensor, grad: Tensor | None) -> list[Tensor]:
    """Count the entries that changed and those with a gradient, in types of 16 bits."""
    short = change.dtype in (torch.float16, torch.bfloat16)
    if not short or grad is None or grad.layout is not torch.strided:
        nothing = torch.zeros((), dtype=torch.float64, device=change.device)
        return [nothing, nothing]
    return [torch.count_nonzero(change).double(), torch.count_nonzero(grad).double()]
