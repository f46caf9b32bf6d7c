"""Copies of a model, where `copy.deepcopy` alone would refuse or share too much."""

from __future__ import annotations

import copy
import io
import threading
from collections.abc import Iterator
from types import FunctionType, GeneratorType, MethodType, ModuleType
from typing import Any, Final

import torch
from torch import Tensor, nn

_SHARED: Final = (type(threading.Lock()), type(threading.RLock()), GeneratorType, io.IOBase)
"""What no copy can be made of: the copy then holds the same object."""

_WITHOUT_PARTS: Final = (str, bytes, int, float, type, ModuleType, FunctionType, MethodType)
_DEPTH: Final = 5


def copied(thing: Any) -> Any:
    """Copy a model, or a tuple with a model in it, and everything it holds.

    Tensors in the middle of an autograd graph (a weight that a hook computes, an
    activation kept as an attribute) are copied by value, without their history; locks,
    open files and generators are shared.

    Args:
        thing: The model, or a tuple such as ``(model, optimizer)``.

    Returns:
        The copy; its tensors are ordinary ones, even where the originals were made in
        inference mode.

    Raises:
        Exception: Whatever `copy.deepcopy` raises for this model.
    """
    memo: dict[int, Any] = {}
    for model in thing if isinstance(thing, tuple) else (thing,):
        if isinstance(model, nn.Module):
            for part in _parts(model):
                if isinstance(part, Tensor):
                    memo[id(part)] = part.detach().clone()
                else:
                    memo[id(part)] = part
    with torch.inference_mode(mode=False):
        twin = copy.deepcopy(thing, memo)
        if isinstance(thing, tuple):
            for old, new in zip(thing, twin, strict=True):
                if isinstance(old, torch.optim.Optimizer):
                    _complete(old, new, memo)
        return twin


def _complete(old: torch.optim.Optimizer, new: torch.optim.Optimizer, memo: dict[int, Any]) -> None:
    """Copy what an optimiser's copy lacks: LBFGS and wrappers keep more than is pickled."""
    for name, value in vars(old).items():
        if name not in vars(new) and not callable(value):
            setattr(new, name, copy.deepcopy(value, memo))


def _parts(model: nn.Module) -> Iterator[Any]:
    """Yield the non-leaf tensors, and whatever cannot be copied, that a model holds."""
    seen: set[int] = set()
    stack = [(value, 0) for module in model.modules() for value in module.__dict__.values()]
    while stack:
        value, depth = stack.pop()
        if value is None or isinstance(value, (*_WITHOUT_PARTS, nn.Module)) or id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Tensor):
            if not value.is_leaf:
                yield value
        elif isinstance(value, _SHARED):
            yield value
        elif depth < _DEPTH:
            inner: Any = ()
            if isinstance(value, dict):
                inner = value.values()
            elif isinstance(value, (list, tuple, set, frozenset)):
                inner = value
            elif hasattr(value, "__dict__"):
                inner = vars(value).values()
            stack.extend((item, depth + 1) for item in list(inner))
