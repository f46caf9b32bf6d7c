"""Paired trials for lessons: the same machinery as `unvanish cure`, in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import nn

from unvanish.core.cures import Origin
from unvanish.curing.given import recipe_from
from unvanish.curing.loading import experiment_from
from unvanish.prove.experiment import Experiment


def experiment_of(
    make: Callable[..., nn.Module],
    data: Iterable[Any],
    *,
    loss: Callable[..., Any] | str,
    optimizer: Callable[..., Any],
    steps: int,
    seed: int,
) -> Experiment:
    """Return a network with its data, loss and optimiser, to be trained again and again.

    Args:
        make: Makes the network; called anew, and seeded, for every run.
        data: Batches to train on.
        loss: ``loss(output, target)`` or a name.
        optimizer: ``optimizer(model)``.
        steps: Optimiser steps of a run.
        seed: Seed of everything random.
    """
    recipe = recipe_from(make, data=data, loss=loss, optimizer=optimizer, seed=seed)
    origin = Origin(target=recipe.target, is_given=True, seed=seed, steps=steps)
    return experiment_from(origin, recipe)
