"""Copies of a model, where `copy.deepcopy` alone would refuse or share too much."""

from __future__ import annotations

import copy
import io
import threading
from collections.abc import Iterator
from types import CellType, FunctionType, GeneratorType, MethodType, ModuleType
from typing import Any, Final

import torch
from torch import Tensor, nn

from unvanish.core.errors import CouldNotMeasureError

_SHARED: Final = (type(threading.Lock()), type(threading.RLock()), GeneratorType, io.IOBase)
"""What no copy can be made of: the copy then holds the same object."""

_WITHOUT_PARTS: Final = (str, bytes, int, float, type, ModuleType, FunctionType, MethodType)
_DEPTH: Final = 5
_COPIED_WITH_A_HOOK: Final = (Tensor, nn.Module, torch.optim.Optimizer, dict, list, set, tuple)
"""What a hook holds that is copied with it; anything else the copy's hook shares."""


def copied(thing: Any, *, hooks: bool = False) -> Any:
    """Copy a model, or a tuple with a model in it, and everything it holds.

    Tensors in the middle of an autograd graph (a weight that a hook computes, an
    activation kept as an attribute) are copied by value, without their history; locks,
    open files and generators are shared.

    Args:
        thing: The model, or a tuple such as ``(model, optimizer)``.
        hooks: Whether the parameters' hooks on their gradient are copied too, with what they
            hold. `copy.deepcopy` leaves them out.

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
            _copy_scripted(model, memo)
    with torch.inference_mode(mode=False):
        twin = copy.deepcopy(thing, memo)
        if isinstance(thing, tuple):
            for old, new in zip(thing, twin, strict=True):
                if isinstance(old, torch.optim.Optimizer):
                    _complete(old, new, memo)
        for old in thing if isinstance(thing, tuple) else (thing,):
            if hooks and isinstance(old, nn.Module):
                _carry_hooks(old, memo)
        return twin


def hooked(model: nn.Module) -> Iterator[Tensor]:
    """Yield the parameters whose gradient a hook of the user's may change."""
    for parameter in model.parameters():
        if parameter._backward_hooks or parameter._post_accumulate_grad_hooks:
            yield parameter


def _carry_hooks(model: nn.Module, memo: dict[int, Any]) -> None:
    """Register copies of the hooks of every parameter on its copy.

    A hook that runs after a gradient was added to ``.grad`` is called by no look, only on the
    copy. It may step an optimiser of its own; one that cannot be copied would be the user's.

    Raises:
        CouldNotMeasureError: If such a hook reaches an optimiser that was not copied.
    """
    for name, parameter in model.named_parameters():
        twin = memo.get(id(parameter))
        if not isinstance(twin, Tensor) or twin is parameter:
            continue
        for hook in dict(parameter._backward_hooks or {}).values():
            twin.register_hook(_hook_copied(hook, memo))
        for hook in dict(parameter._post_accumulate_grad_hooks or {}).values():
            if any(_holds_optimizer(value) for value in _globals_of(hook)):
                raise CouldNotMeasureError(
                    f"a hook on {name} steps an optimiser that is kept outside of the network"
                )
            twin.register_post_accumulate_grad_hook(_hook_copied(hook, memo))


def _hook_copied(hook: Any, memo: dict[int, Any]) -> Any:
    """Copy a hook together with what it holds, which `copy.deepcopy` shares for functions."""

    def content(value: Any) -> Any:
        return copy.deepcopy(value, memo) if isinstance(value, _COPIED_WITH_A_HOOK) else value

    try:
        if isinstance(hook, MethodType):
            return MethodType(hook.__func__, content(hook.__self__))
        if not isinstance(hook, FunctionType):
            return copy.deepcopy(hook, memo)
        cells = tuple(CellType(content(cell.cell_contents)) for cell in hook.__closure__ or ())
        defaults = tuple(content(value) for value in hook.__defaults__ or ())
        twin = FunctionType(hook.__code__, hook.__globals__, hook.__name__, defaults, cells)
        twin.__kwdefaults__ = {k: content(v) for k, v in (hook.__kwdefaults__ or {}).items()}
        return twin
    except Exception:
        return hook


def _globals_of(hook: Any) -> Iterator[Any]:
    """Yield what a function names in its module, which no copy of it can be given."""
    if isinstance(hook, FunctionType):
        for name in hook.__code__.co_names:
            yield hook.__globals__.get(name)


def _holds_optimizer(value: Any) -> bool:
    if isinstance(value, dict):
        value = tuple(value.values())
    parts = value if isinstance(value, (tuple, list)) else (value,)
    return any(isinstance(part, torch.optim.Optimizer) for part in parts)


def _copy_scripted(model: nn.Module, memo: dict[int, Any]) -> None:
    """Copy the scripted parts of a model, whose copies lose that they want a gradient."""
    for module in model.modules():
        if not isinstance(module, torch.jit.ScriptModule) or id(module) in memo:
            continue
        with torch.inference_mode(mode=False), torch.no_grad():
            twin = copy.deepcopy(module)
        for old, new in zip(module.modules(), twin.modules(), strict=True):
            memo[id(old)] = new
        tensors = zip(module.parameters(), twin.parameters(), strict=True)
        for old_tensor, new_tensor in tensors:
            memo[id(old_tensor)] = new_tensor.requires_grad_(old_tensor.requires_grad)


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
