"""A look at a recipe's network as the recipe would train it."""

from __future__ import annotations

from unvanish.core.records import Recording
from unvanish.observe import trace
from unvanish.recipe import Recipe


def look_at(recipe: Recipe) -> Recording:
    """Look at the network of a recipe, as `unvanish check` does.

    Args:
        recipe: Network, batches, loss and optimiser; they stay as they are. The caller is inside
            of its `running()`.
    """
    return trace(
        recipe.model,
        recipe.batch,
        recipe.loss,
        optimizer=recipe.optimizer,
        data=recipe.further,
        seed=recipe.seed,
        autocast=recipe.autocast,
        clip_grad_norm=recipe.clip_grad_norm,
        built=recipe.built,
    )
