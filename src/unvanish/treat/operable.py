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
        The recipe, with the network behind the wrapper, and so for every network that it makes.

    Raises:
        Exception: Whatever a network with lazy layers raises on its first batch.
    """
    if _behind_wrapper(recipe.model) is recipe.model and not has_lazy_layers(recipe.model):
        return recipe

    def make(seed: int) -> nn.Module:
        return _operable(recipe.make(seed), recipe, seed)

    return replace(recipe, model=_operable(recipe.model, recipe, recipe.seed), make=make)


def has_lazy_layers(model: nn.Module) -> bool:
    """Tell whether a layer of a network has no weights before the first batch.

    Args:
        model: The network.
    """
    return any(is_lazy(tensor) for tensor in (*model.parameters(), *model.buffers()))


def _operable(model: nn.Module, recipe: Recipe, seed: int) -> nn.Module:
    model = _behind_wrapper(model)
    if has_lazy_layers(model):
        with recipe.running(), torch.no_grad():
            seed_everything(seed)
            call_model(model, as_batch(recipe.batch, model).inputs)
    return model


def _behind_wrapper(model: nn.Module) -> nn.Module:
    original = getattr(model, "_orig_mod", None)
    return original if isinstance(original, nn.Module) else model
