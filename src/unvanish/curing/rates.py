"""A treatment that is nothing but another learning rate."""

from __future__ import annotations

from unvanish.core.prescriptions import Edit, Receipt
from unvanish.core.records import Recording
from unvanish.observe.optimizer import build_optimizer, copy_with_optimizer, learning_rates
from unvanish.recipe import Recipe
from unvanish.treat import Treated


def at_rate(recipe: Recipe, look: Recording, factor: float) -> Treated:
    """Return a copy of a network as it is, whose learning rate is to be multiplied.

    Args:
        recipe: The network.
        look: A look at it.
        factor: What the learning rates are multiplied by, by whoever takes the copy.

    Returns:
        The copy with its optimiser as it was, and a receipt of what is to be changed.
    """
    with recipe.running():
        given = build_optimizer(recipe.optimizer, recipe.model)
        model, optimizer = copy_with_optimizer(recipe.model, given)
    rates = sorted(set(learning_rates(optimizer).values()))
    edits = tuple(
        Edit(place="", before=f"learning rate {rate:.3g}", after=f"{rate * factor:.3g}")
        for rate in rates
    )
    return Treated(
        model=model,
        optimizer=optimizer,
        loss=recipe.loss,
        autocast=recipe.autocast,
        clip_grad_norm=recipe.clip_grad_norm,
        receipts=(Receipt(remedy="learning-rate", edits=edits),),
        prescriptions=(),
        looks=(look,),
        undo=lambda: None,
    )
