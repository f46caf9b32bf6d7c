"""What users return as their optimiser: one, one in a list, or several. Without torch."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any, Final

from unvanish.core.errors import BatchError

_SCHEDULED: Final[weakref.WeakSet[Any]] = weakref.WeakSet()
"""Optimisers that have schedulers beside them, where these are not at hand any more."""


def is_scheduled(optimizer: Any) -> bool:
    """Return whether schedulers are known to steer this optimiser."""
    return optimizer in _SCHEDULED


def note_scheduled(optimizer: Any) -> None:
    """Note that schedulers steer this optimiser, before it parts from them."""
    _SCHEDULED.add(optimizer)


def only_one(made: Any) -> Any:
    """Return the optimiser in what a training library takes, where it is the only one.

    Args:
        made: An optimiser; one with its schedulers; ``{"optimizer": ..., "lr_scheduler": ...}``;
            or ``[optimizers], [schedulers]``. Anything else is returned as it is.
    """
    if isinstance(made, Mapping) and "optimizer" in made:
        return _parted(only_one(made["optimizer"]), made.get("lr_scheduler"))
    if not isinstance(made, list | tuple):
        return made
    if len(made) == 2 and isinstance(made[0], list | tuple):
        return _parted(only_one(made[0]), made[1])
    if len(made) == 1:
        return only_one(made[0])
    found = [each for each in made if hasattr(each, "param_groups")]
    others = [each for each in made if not hasattr(each, "param_groups")]
    if len(found) != 1 or not all(hasattr(o, "optimizer") for o in others):
        return made
    return _parted(found[0], others)


def _parted(optimizer: Any, schedulers: Any) -> Any:
    """Return an optimiser, after noting the schedulers that came with it."""
    if schedulers and hasattr(optimizer, "param_groups"):
        note_scheduled(optimizer)
    return optimizer


def several(what: str, where: str = "") -> BatchError:
    """Return the error that says how to train with more than one optimiser.

    Args:
        what: The clause it begins with.
        where: File and line, where they are known.
    """
    return BatchError(
        f"{what}, and one steps the whole network here",
        where=where,
        help='def optimizer(model): return torch.optim.Adam([{"params": model.body.parameters()}, '
        '{"params": model.head.parameters(), "lr": 1e-2}], lr=1e-3)   # a group for each',
    )
