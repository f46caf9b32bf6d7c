"""Load a network and its data again, as they were loaded for a trial."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from unvanish.core.cures import IN_PYTHON, Origin
from unvanish.core.errors import UnvanishError
from unvanish.prove.building import experiment_of
from unvanish.prove.experiment import Experiment
from unvanish.recipe import Batches, Recipe, load, seeded
from unvanish.treat.judges import Judge
from unvanish.treat.operable import operable

UNKNOWN: Final = "the batch is not known yet"
"""Stands for the batch while a network is loaded whose data come from elsewhere."""


def reloaded(origin: Origin, data: Iterable[Any] | str | None = None) -> Recipe:
    """Load a recipe as it was loaded before.

    Args:
        origin: What it was loaded from.
        data: Batches, or the name of some, in place of what `origin` names.

    Returns:
        The recipe; its batch is the first of the data that were named. Its network stands behind no
        wrapper of `torch.compile`, and its lazy layers have weights.

    Raises:
        UnvanishError: If that is not possible, or not any more.
    """
    if origin.is_given or (origin.data == IN_PYTHON and data is None):
        what = origin.target if origin.is_given else "data of the trial"
        raise UnvanishError(
            f"{what} was given in Python, and cannot be loaded from a file",
            help="unvanish cure net.py   where net.py has def model(): ... and def data(): ...",
        )
    source, folder = data if data is not None else origin.data or None, Path.cwd()
    recipe = load(
        origin.target,
        seed=origin.seed,
        input_shape=origin.input_shape or None,
        classes=origin.classes or None,
        device=origin.device or None,
        batch=None if source is None else UNKNOWN,
    )
    if source is None:
        return operable(recipe)
    with contextlib.chdir(folder):  # the network's own code may have gone elsewhere
        return operable(with_data(recipe, source))


def with_data(recipe: Recipe, data: Iterable[Any] | str) -> Recipe:
    """Return a recipe with other data.

    Args:
        recipe: The recipe.
        data: Batches, or the name of some.
    """
    batches = data
    if isinstance(batches, str):
        from unvanish.prove.data import named_data

        batches = named_data(batches, recipe.model, recipe.loss)
    drawn = batches if isinstance(batches, Batches) else Batches(batches, origin="data")
    with seeded(recipe.seed):
        first = drawn.first
    return replace(
        recipe,
        batch=first,
        data=drawn.after_first(),
        is_invented=False,
        inferred=(*recipe.inferred, *getattr(batches, "notes", ())),
    )


def experiment_from(
    origin: Origin,
    recipe: Recipe,
    reload: Callable[[int], Recipe] | None = None,
    judge: Judge | None = None,
) -> Experiment:
    """Set up what a network is trained on, and what it is judged by.

    Args:
        origin: What it was loaded from, and the steps that data are drawn for.
        recipe: What it was loaded as, with its data.
        reload: Loads it anew from a seed; None to load it as `origin` says.
        judge: What stands for the loss where networks are compared, if not the loss itself.

    Returns:
        The experiment: equal arguments give equal data in equal parts.
    """

    def again(seed: int) -> Recipe:
        return reloaded(replace(origin, seed=seed))

    return experiment_of(
        recipe,
        steps=origin.steps,
        reload=None if origin.is_given else reload or again,
        judge=judge,
    )
