"""What a network says of its own training, in methods named as Lightning names them."""

from __future__ import annotations

import functools

import torch
from torch import nn

from unvanish.core.stack import Owner, owner_of
from unvanish.core.steppers import only_one
from unvanish.recipe.usercode import Foreign, exception_line


def own_method(model: nn.Module, name: str) -> Foreign:
    """Return a method of a network that the user has written; None where there is none.

    Args:
        model: The network.
        name: Such as ``"training_step"``; what a library's base class has is not meant.
    """
    method = getattr(model, name, None) if hasattr(type(model), name) else None
    code = getattr(getattr(method, "__func__", None), "__code__", None)
    is_users = code is not None and owner_of(code.co_filename) is Owner.USER
    return method if is_users else None


def own_optimizer(model: nn.Module) -> tuple[Foreign, str]:
    """Return what makes the optimiser that a network configures itself.

    Args:
        model: The network; its ``configure_optimizers`` is called once, to see what it gives.

    Returns:
        ``optimizer(model)``, or None; and a sentence that says what was taken or left.
    """
    method = own_method(model, "configure_optimizers")
    if method is None:
        return None, ""
    spoken = f"configure_optimizers() of {type(model).__name__}"
    try:
        made = only_one(method())
    except Exception as error:
        return None, f"{spoken} was not used: it raised {exception_line(error)}"
    if not isinstance(made, torch.optim.Optimizer):
        count = len(made) if isinstance(made, list | tuple) else 0
        gave = f"{count} optimisers" if count else type(made).__name__
        return None, f"{spoken} was not used: it returned {gave}, not one optimiser"

    @functools.wraps(method.__func__)
    def configured(network: Foreign) -> Foreign:
        return only_one(network.configure_optimizers())

    return configured, f"the optimizer is that of {spoken}"
