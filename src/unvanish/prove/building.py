"""From a recipe to an experiment: what is trained on what, by what it is judged."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import nn

from unvanish.core.errors import BatchError
from unvanish.core.stack import Owner, owner_of
from unvanish.observe.copies import copied
from unvanish.observe.guard import ModelSnapshot
from unvanish.prove.endpoints import endpoint_of, metric_wants_batches
from unvanish.prove.experiment import Experiment
from unvanish.prove.partition import partition
from unvanish.recipe.batches import Batches
from unvanish.recipe.record import Recipe
from unvanish.recipe.seeding import seeded
from unvanish.treat.judges import Judge


class NoDataError(BatchError):
    """A network comes without data to train on."""


DATA_HELP = (
    "write in the recipe: def data(): yield from loader   # batches of (inputs, target)\n"
    "or take data by name: --data digits   --data csv:FILE   --data npz:FILE   "
    "--data mnist-idx:FOLDER   --data module:function"
)
"""What to do where a network comes without data."""


def experiment_of(
    recipe: Recipe,
    *,
    steps: int,
    data: Iterable[Any] | None = None,
    reload: Callable[[int], Recipe] | None = None,
    judge: Judge | None = None,
) -> Experiment:
    """Freeze a recipe's data, split them, and settle what the runs are judged by.

    Args:
        recipe: Network, data, loss, optimiser, metric.
        steps: Steps of a full run: no more batches are drawn than they can use.
        data: Batches in place of the recipe's own.
        reload: Loads the recipe anew from a seed; needed for other initial weights where the
            target is a finished network.
        judge: What stands for the loss where networks are compared, if not the loss itself.

    Returns:
        The experiment.

    Raises:
        NoDataError: If there are no data to train on.
        BatchError: If they cannot be drawn.
    """
    batches = data if data is not None else _own(recipe)
    if data is None and recipe.data is None and recipe.is_invented:
        raise NoDataError(
            "there are no data to train on: the batch of the check was made up",
            where=recipe.target,
            help=DATA_HELP,
        )
    with recipe.running():
        parts = partition(
            batches,
            recipe.model,
            loss=recipe.loss,
            wanted=steps,
            keep_held_out=recipe.metric is None or metric_wants_batches(recipe.metric),
            seed=recipe.seed,
            is_example=data is None and recipe.data is None,
            redraw=recipe.redraw if data is None else None,
            again=(lambda: _own(reload(recipe.seed))) if data is None and reload else None,
        )
        endpoint = endpoint_of(
            recipe.model,
            parts,
            recipe.loss,
            metric=recipe.metric,
            goal=recipe.goal,
            higher_is_better=recipe.higher_is_better,
            autocast=recipe.autocast,
            judge=judge,
        )
    return Experiment(
        target=recipe.target,
        make=_maker(recipe, reload),
        partition=parts,
        loss=recipe.loss,
        optimizer=recipe.optimizer,
        model=recipe.model,
        metric=recipe.metric,
        endpoint=endpoint,
        autocast=recipe.autocast,
        clip_grad_norm=recipe.clip_grad_norm,
        surroundings=recipe.running,
        judge=judge,
        fingerprint=_fingerprint(recipe, parts.digest()),
    )


def _own(recipe: Recipe) -> Iterable[Any]:
    """Return all batches of a recipe; its data begin after the first where that is its batch."""
    if isinstance(recipe.data, Batches):
        return recipe.data
    return chain([recipe.batch], recipe.data or ())


def _maker(recipe: Recipe, reload: Callable[[int], Recipe] | None) -> Callable[[int], nn.Module]:
    """Return what makes the network anew, as it was before any training.

    A finished network is built by running its file again, and so is one that shares what is
    trained with the one before, as ``def model(): return net`` does; where there is no file, it
    is copied. Other networks that the loss or the optimiser reads begin anew as well.
    """
    beside = [ModelSnapshot(module) for module in _beside(recipe)]
    make = _once_more(recipe, reload)

    def made(seed: int) -> nn.Module:
        for snapshot in beside:
            snapshot.restore()
        return make(seed)

    return made


def _once_more(
    recipe: Recipe, reload: Callable[[int], Recipe] | None
) -> Callable[[int], nn.Module]:
    if reload is not None and (recipe.is_finished or _shares(recipe)):
        return lambda seed: reload(seed).model
    if recipe.is_finished or not _shares(recipe):
        return recipe.fresh
    kept = copied(recipe.model)
    return lambda _: copied(kept)


def _shares(recipe: Recipe) -> bool:
    """Tell whether a network that is made anew shares what is trained with the one before."""

    def trained(model: nn.Module) -> set[int]:
        held = (p for p in model.parameters() if p.requires_grad)
        return {id(tensor) for tensor in (*held, *model.buffers())}

    return not trained(recipe.model).isdisjoint(trained(recipe.fresh(recipe.seed)))


def _beside(recipe: Recipe) -> list[nn.Module]:
    """Return networks beside the one that is trained, which a step may change too."""
    parts = (recipe.loss, inspect.unwrap(recipe.optimizer) if callable(recipe.optimizer) else None)
    found: dict[int, nn.Module] = {}
    for part in parts:
        code, known = getattr(part, "__code__", None), getattr(part, "__globals__", {})
        named = [known.get(name) for name in code.co_names] if code is not None else []
        for thing in (part, *named):
            if isinstance(thing, nn.Module) and any(p.requires_grad for p in thing.parameters()):
                found.setdefault(id(thing), thing)
    own = {id(module) for module in recipe.model.modules()}
    return [module for key, module in found.items() if key not in own]


def _fingerprint(recipe: Recipe, data: str) -> str:
    """Return a digest of the data, the initial weights and the user's own files."""
    digest = hashlib.sha256(data.encode())
    for name, value in recipe.model.state_dict().items():
        digest.update(name.encode())
        if isinstance(value, torch.Tensor) and value.layout is torch.strided:
            flat = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            digest.update(flat.numpy().tobytes())
    for module in sorted(sys.modules):
        file = getattr(sys.modules[module], "__file__", None)
        if isinstance(file, str) and owner_of(file) is Owner.USER and Path(file).is_file():
            digest.update(Path(file).read_bytes())
    with seeded(0):
        settings = getattr(recipe.optimizer, "defaults", "")
    digest.update(repr((recipe.target, settings, recipe.clip_grad_norm, recipe.autocast)).encode())
    return digest.hexdigest()
