"""Load a network and its data again, as they were loaded for a trial."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from unvanish.core.cures import Origin
from unvanish.core.errors import UnvanishError
from unvanish.prove.building import experiment_of
from unvanish.prove.experiment import Experiment
from unvanish.recipe import Recipe, load


def reloaded(origin: Origin) -> Recipe:
    """Load a recipe as it was loaded before.

    Args:
        origin: What it was loaded from.

    Returns:
        The recipe.

    Raises:
        UnvanishError: If that is not possible, or not any more.
    """
    if origin.is_given:
        raise UnvanishError(
            f"{origin.target} was given in Python, and cannot be loaded from a file",
            help="unvanish cure net.py   where net.py has def model(): ... and def data(): ...",
        )
    return load(
        origin.target,
        seed=origin.seed,
        input_shape=origin.input_shape or None,
        classes=origin.classes or None,
        device=origin.device or None,
    )


def experiment_from(
    origin: Origin, recipe: Recipe, data: Iterable[Any] | str | None = None
) -> Experiment:
    """Set up what a network is trained on, and what it is judged by.

    Args:
        origin: What it was loaded from, and the steps that data are drawn for.
        recipe: What it was loaded as.
        data: Batches in place of those that `origin` names, or the recipe's own.

    Returns:
        The experiment: equal arguments give equal data in equal parts.
    """
    source = data if data is not None else origin.data or None
    batches: Iterable[Any] | None
    if isinstance(source, str):
        from unvanish.prove.data import named_data

        batches = named_data(source, recipe.model, recipe.loss)
    else:
        batches = source
    if origin.is_given:
        return experiment_of(recipe, steps=origin.steps, data=batches)

    def reload(seed: int) -> Recipe:
        return reloaded(replace(origin, seed=seed))

    return experiment_of(recipe, steps=origin.steps, data=batches, reload=reload)
