"""Hold an inferred loss against the training step that a network brings along."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from torch import Tensor, nn

from unvanish.core.errors import BatchError
from unvanish.observe.batch import as_batch, call_model
from unvanish.observe.guard import untouched
from unvanish.observe.loss import compute_loss
from unvanish.prove.freezing import fresh
from unvanish.recipe import Recipe
from unvanish.recipe.finding import required_arguments
from unvanish.recipe.methods import own_method
from unvanish.recipe.names import line_of
from unvanish.recipe.usercode import exception_line

_ALIKE: Final = 1e-4


def with_own_step(recipe: Recipe) -> Recipe:
    """Return a recipe whose inferred loss is known to be that of the network's own step.

    Args:
        recipe: What was loaded; only one without a loss is looked at.

    Returns:
        The recipe, with a note of what the comparison gave.

    Raises:
        BatchError: If ``training_step`` minimises another loss than the one inferred.
    """
    step = own_method(recipe.model, "training_step")
    if step is None or recipe.loss is not None or recipe.is_invented:
        return recipe
    spoken = f"training_step() of {type(recipe.model).__name__}"
    try:
        with recipe.running():
            own = _of_step(step, recipe)
            inferred, name = _inferred(recipe)
    except Exception as error:
        note = f"{spoken} was not compared with the loss: {exception_line(error)}"
        return replace(recipe, inferred=(*recipe.inferred, note))
    if not math.isclose(own, inferred, rel_tol=_ALIKE, abs_tol=1e-7):
        raise BatchError(
            f"{spoken} gives a loss of {own:.4g} on the first batch, and {name}, which was "
            f"inferred, {inferred:.4g}",
            where=line_of(step),
            help="say what the step minimises: def loss(output, target): return ...   in the file, "
            "or in Python: unvanish.cure(model, data=data, loss=loss)",
        )
    note = f"{spoken} gives the same loss as {name} on the first batch"
    return replace(recipe, inferred=(*recipe.inferred, note))


def _of_step(step: Any, recipe: Recipe) -> float:
    """Return the loss of the network's own step on the first batch."""
    needed = required_arguments(step)
    if len(needed) > 2:
        raise TypeError(f"it needs {', '.join(needed)}")
    with untouched(recipe.model, seed=recipe.seed):
        recipe.model.train()
        _without_logging(recipe.model)
        value = step(*(fresh(recipe.batch), 0)[: max(1, len(needed))])
        value = value.get("loss") if isinstance(value, Mapping) else value
        if not isinstance(value, Tensor):
            raise TypeError(f"it returned {'nothing' if value is None else type(value).__name__}")
        return float(value.detach())


def _inferred(recipe: Recipe) -> tuple[float, str]:
    """Return the loss that was inferred on the first batch, and its name."""
    with untouched(recipe.model, seed=recipe.seed):
        recipe.model.train()
        batch = as_batch(fresh(recipe.batch), recipe.model)
        value, name, _ = compute_loss(None, call_model(recipe.model, batch.inputs), batch)
        return float(value.detach()), name


def _without_logging(model: nn.Module) -> None:
    """Let a network log to nobody, as no trainer listens."""
    for name in ("log", "log_dict"):
        setattr(model, name, lambda *_, **__: None)
