"""What an edit asks of a network that was trained: read off the network before and after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import torch

from unvanish.core.patches import Safety
from unvanish.observe.batch import as_batch, main_output
from unvanish.observe.copies import copied
from unvanish.observe.guard import seed_everything
from unvanish.recipe import Recipe
from unvanish.treat.answering import answer

_MOST: Final = 3
"""Names that are listed."""


def label(promised: Safety, before: Recipe, after: Recipe) -> tuple[Safety, tuple[str, ...]]:
    """Return what an edit asks of a trained network, and what to say of its checkpoints.

    A checkpoint of the network as it was is loaded into the edited one, and both are run.

    Args:
        promised: What the remedies promise; nothing less is asked.
        before: The network as it was.
        after: The network of the edited source.

    Returns:
        The label, and sentences for the user.
    """
    old, new = before.model.state_dict(), after.model.state_dict()
    gone = [name for name in old if name not in new]
    fresh = [name for name in new if name not in old]
    other = [name for name in old if name in new and _shape(old[name]) != _shape(new[name])]
    if gone or other:
        words = f"a checkpoint from before does not load: it holds {_listed([*gone, *other])}"
        return Safety.RETRAIN, (f"{words}, which the edited network has not in this form",)
    if fresh:
        words = f"a checkpoint from before lacks {_listed(fresh)}"
        return Safety.RETRAIN, (f"{words}; load_state_dict(..., strict=False) loads the rest",)
    computed = Safety.SAFE if _compute_the_same(before, after, old) else Safety.CHANGES_FUNCTION
    return max(promised, computed, key=list(Safety).index), ()


def _compute_the_same(before: Recipe, after: Recipe, state: Mapping[str, Any]) -> bool:
    """Tell whether two networks with one state give the same outputs."""
    outputs = []
    for recipe in (before, after):
        model = copied(recipe.model)
        try:
            model.load_state_dict(dict(state))
            with recipe.running():
                seed_everything(before.seed)
                inputs = as_batch(before.batch, model).inputs
                outputs.append(main_output(answer(model, inputs)))
        except Exception:
            return False
    one, other = outputs
    if one is None or other is None or one.shape != other.shape:
        return False
    return torch.allclose(one, other, rtol=1e-3, atol=1e-5, equal_nan=True)


def _shape(value: Any) -> tuple[int, ...] | None:
    """Return the shape of an entry of a state dict; None where it has none, or not yet."""
    if not isinstance(value, torch.Tensor) or torch.nn.parameter.is_lazy(value):
        return None
    return tuple(value.shape)


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = len(names) - _MOST
    return ", ".join(names[:_MOST]) + (f" and {more} more" if more > 0 else "")
