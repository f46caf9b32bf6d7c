"""A network that is given in Python rather than named as a target."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypedDict

import torch
from torch import nn

from unvanish.core.errors import TargetError
from unvanish.core.steppers import only_one, several
from unvanish.recipe import Batches, Recipe, invent_batch, seeded
from unvanish.recipe.methods import own_optimizer
from unvanish.recipe.rest import seeding


class Given(TypedDict, total=False):
    """What may be said beside a network that is given in Python."""

    batch: object
    loss: Callable[..., Any] | str | None
    optimizer: torch.optim.Optimizer | Callable[..., Any] | None
    metric: Callable[..., Any] | None
    goal: float | None
    higher_is_better: bool
    clip_grad_norm: float | None
    autocast: str


def recipe_from(
    model: nn.Module | Callable[..., nn.Module],
    *,
    batch: object = None,
    data: Iterable[Any] | None = None,
    loss: Callable[..., Any] | str | None = None,
    optimizer: torch.optim.Optimizer | Callable[..., Any] | None = None,
    metric: Callable[..., Any] | None = None,
    goal: float | None = None,
    higher_is_better: bool = True,
    clip_grad_norm: float | None = None,
    autocast: str = "",
    seed: int = 0,
) -> Recipe:
    """Make a recipe of a network and what is known about its training.

    Args:
        model: What makes the network, called once for every run, with a keyword ``seed`` if it
            takes one. A finished network is copied, so that every run starts from its weights.
        batch: ``(inputs, target)``, a dict, or the inputs alone; None for the first of `data`.
        data: Batches; None for `batch` alone.
        loss: ``loss(output, target)``, a name such as ``"cross_entropy"``, or None to infer it.
        optimizer: ``optimizer(model)``, or an optimiser of `model`; None for what the network
            configures itself, else AdamW.
        metric: ``metric(model)`` or ``metric(output, target)``; None to infer one.
        goal: Value of the metric that counts as trained.
        higher_is_better: Direction of the metric.
        clip_grad_norm: Largest gradient norm of the training loop; None for no limit.
        autocast: ``"bfloat16"`` or ``"float16"``; empty for none.
        seed: Seed of the network and everything random.

    Returns:
        The recipe.

    Raises:
        TargetError: If `model` is neither a network nor makes one.
    """
    finished = isinstance(model, nn.Module)

    def make(seed: int) -> nn.Module:
        with seeded(seed):
            made: Any = copy.deepcopy(model) if finished else seeding(model, seed)()
        return _checked(made)

    network = model if isinstance(model, nn.Module) else make(seed)
    inferred: tuple[str, ...] = ()
    is_invented = False
    if finished:
        inferred += (
            "the network was given as it is: every run starts from its weights; give a function "
            "that makes it, and every seed has others",
        )
    optimizer = only_one(optimizer)
    if isinstance(optimizer, list | tuple):
        raise several(f"optimizer is {len(optimizer)} optimisers")
    if optimizer is None:
        with seeded(seed):
            optimizer, said = own_optimizer(network)
        inferred += (said,) if said else ()
    redraw = None
    if data is not None:
        with seeded(seed):
            drawn = Batches(data, origin="data")
            if not isinstance(data, Iterator):
                redraw = partial(_pass_over, data)
            data = drawn if batch is not None else drawn.after_first()
            batch = drawn.first if batch is None else batch
    if batch is None:
        with seeded(seed):
            invented = invent_batch(network)
        batch, inferred, is_invented = invented.batch, (*inferred, *invented.inferred), True
    return Recipe(
        target=_name_of(model),
        seed=seed,
        model=network,
        batch=batch,
        data=data,
        redraw=redraw,
        loss=loss,
        optimizer=optimizer,
        metric=metric,
        goal=goal,
        higher_is_better=higher_is_better,
        clip_grad_norm=clip_grad_norm,
        autocast=autocast,
        inferred=inferred,
        is_invented=is_invented,
        is_finished=finished,
        built={},
        make=make,
    )


def _pass_over(data: Iterable[Any], number: int) -> Iterable[Any]:
    """Return the batches of one more pass."""
    return Batches(data, origin=f"pass {number + 1} over data")


def _checked(made: object) -> nn.Module:
    if not isinstance(made, nn.Module):
        raise TargetError(
            f"the model is {type(made).__name__}, not an nn.Module, no TARGET and nothing that "
            "makes a network",
            help="unvanish.cure(model, data=loader)  or  unvanish.cure('net.py')",
        )
    return made


def _name_of(model: object) -> str:
    name = getattr(model, "__name__", "")
    return name if name and name != "<lambda>" else type(model).__name__
