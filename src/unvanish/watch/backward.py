"""Hear of every backward pass: which tensor it starts from, and when it has returned.

``Tensor.backward`` looks up ``torch.autograd.backward`` whenever it is called, so that one
function in its place hears of all of them. After it has returned, gradients are complete, under
distributed data parallelism too. ``torch.autograd.grad`` is left alone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor


class Listener(Protocol):
    """What is told of backward passes."""

    def before_backward(self, root: Tensor | None) -> None:
        """Hear that a pass begins.

        Args:
            root: The single number it starts from; None where it starts from anything else.
        """

    def after_backward(self, *, completed: bool) -> None:
        """Hear that the pass has returned.

        Args:
            completed: False where it raised.
        """


_LISTENERS: list[Listener] = []
_original: Callable[..., None] | None = None
_installed: Callable[..., None] | None = None


def listen(listener: Listener) -> None:
    """Tell `listener` of every backward pass from now on."""
    global _original, _installed
    _LISTENERS.append(listener)
    if _installed is None:
        _original = torch.autograd.backward
        _installed = _heard(_original)
        torch.autograd.backward = _installed


def ignore(listener: Listener) -> None:
    """Tell `listener` no more, and put torch's function back where nobody listens."""
    global _original, _installed
    if listener in _LISTENERS:
        _LISTENERS.remove(listener)
    if _LISTENERS or _installed is None or torch.autograd.backward is not _installed:
        return  # whoever put another function over ours still calls it: it stays and is quiet
    assert _original is not None
    torch.autograd.backward = _original
    _original = _installed = None


def _heard(original: Callable[..., None]) -> Callable[..., None]:
    """Wrap the function that runs a backward pass."""

    @functools.wraps(original)
    def backward(tensors: Any, *args: Any, **kwargs: Any) -> None:
        listeners = tuple(_LISTENERS)
        root = _root(tensors) if listeners else None
        for listener in listeners:
            listener.before_backward(root)
        completed = False
        try:
            original(tensors, *args, **kwargs)
            completed = True
        finally:
            for listener in listeners:
                listener.after_backward(completed=completed)

    return backward


def _root(tensors: Any) -> Tensor | None:
    """Return the one number that a pass starts from."""
    if not isinstance(tensors, Tensor):
        if not isinstance(tensors, list | tuple) or len(tensors) != 1:
            return None
        tensors = tensors[0]
    return tensors if isinstance(tensors, Tensor) and tensors.numel() == 1 else None
