"""A recipe's network as it can be operated on: behind no wrapper, with weights in every layer."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from unvanish.observe.batch import as_batch, call_model
from unvanish.observe.guard import is_lazy, seed_everything
from unvanish.recipe import Recipe


def operable(recipe: Recipe) -> Recipe:
    """Take the wrapper of `torch.compile` off a network, and make the weights of its lazy layers.

    The wrapper changes nothing that a treatment is about, and stays in the user's source. Lazy
    layers get their weights as in training: the first batch runs through them.

    Args:
        recipe: What was loaded; its network is given weights in place.

    Returns:
        The recipe, with the network behind the wrapper.

    Raises:
        Exception: Whatever a network with lazy layers raises on its first batch.
    """
    model = recipe.model
    original = getattr(model, "_orig_mod", None)
    if isinstance(original, nn.Module):
        model = original
    if any(is_lazy(tensor) for tensor in (*model.parameters(), *model.buffers())):
        with recipe.running(), torch.no_grad():
            seed_everything(recipe.seed)
            call_model(model, as_batch(recipe.batch, model).inputs)
    return recipe if model is recipe.model else replace(recipe, model=model)
