"""A second module that computes with the parameters of a first one."""

from __future__ import annotations

import copy

from torch import nn

from unvanish.treat.interception import MARK, NAME, REPLICATE
from unvanish.treat.methods import uncover


def twin_of(module: nn.Module) -> nn.Module:
    """Return a module that computes with the same parameters, without hooks and insertions.

    Args:
        module: The first one.
    """
    twin = copy.copy(module)
    for name, value in list(vars(twin).items()):
        if isinstance(value, dict):
            twin.__dict__[name] = type(value)(value)
    for name in (MARK, REPLICATE, NAME):
        twin.__dict__.pop(name, None)
    uncover(twin)
    for name in list(vars(twin)):
        if name.endswith("_hooks"):
            twin.__dict__[name].clear()
    return twin
