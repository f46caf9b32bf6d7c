"""Targets and recipes: from ``file.py:name`` to a network, a batch and the rest of a run."""

from __future__ import annotations

from unvanish.recipe.batches import Batches
from unvanish.recipe.inference import invent_batch
from unvanish.recipe.loading import checked_device, load
from unvanish.recipe.record import Recipe
from unvanish.recipe.seeding import seeded
from unvanish.recipe.suggest import listing, nearest
from unvanish.recipe.usercode import is_out_of_memory, out_of_memory

__all__ = [
    "Batches",
    "Recipe",
    "checked_device",
    "invent_batch",
    "is_out_of_memory",
    "listing",
    "load",
    "nearest",
    "out_of_memory",
    "seeded",
]
