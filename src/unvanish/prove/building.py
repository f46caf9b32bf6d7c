"""From a recipe to an experiment: what is trained on what, by what it is judged."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import nn

from unvanish.core.errors import BatchError
from unvanish.core.stack import Owner, owner_of
from unvanish.prove.endpoints import endpoint_of, metric_wants_batches
from unvanish.prove.experiment import Experiment
from unvanish.prove.partition import partition
from unvanish.recipe.batches import Batches
from unvanish.recipe.record import Recipe
from unvanish.recipe.seeding import seeded


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
) -> Experiment:
    """Freeze a recipe's data, split them, and settle what the runs are judged by.

    Args:
        recipe: Network, data, loss, optimiser, metric.
        steps: Steps of a full run: no more batches are drawn than they can use.
        data: Batches in place of the recipe's own.
        reload: Loads the recipe anew from a seed; needed for other initial weights where the
            target is a finished network.

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
        fingerprint=_fingerprint(recipe, parts.digest()),
    )


def _own(recipe: Recipe) -> Iterable[Any]:
    """Return all batches of a recipe; its data begin after the first where that is its batch."""
    if isinstance(recipe.data, Batches):
        return recipe.data
    return chain([recipe.batch], recipe.data or ())


def _maker(recipe: Recipe, reload: Callable[[int], Recipe] | None) -> Callable[[int], nn.Module]:
    """Return what makes the network anew; a finished one is built by running its file again."""
    if not recipe.is_finished or reload is None:
        return recipe.fresh

    def made(seed: int) -> nn.Module:
        return reload(seed).model

    return made


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
