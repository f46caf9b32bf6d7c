"""Hear of gradient scalers: what a loss is multiplied with, and which steps are left out."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch


class Listener(Protocol):
    """What is told of gradient scalers that are switched on."""

    def scaled(self, scaler: torch.amp.GradScaler, loss: Any, product: Any) -> None:
        """Hear that a loss was multiplied.

        Args:
            scaler: The scaler.
            loss: What it was given.
            product: What it returned.
        """

    def before_scaled_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Hear that a scaler will let an optimiser step, or leave the step out."""

    def after_scaled_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Hear that it has done so."""


_LISTENERS: list[Listener] = []
_replaced: list[tuple[type, str, Callable[..., Any], Callable[..., Any]]] = []


def listen(listener: Listener) -> None:
    """Tell `listener` of every scaler from now on."""
    _LISTENERS.append(listener)
    if not _replaced:
        for kind in _kinds(torch.amp.GradScaler):
            for name, wrap in (("scale", _scale), ("step", _step)):
                if name in vars(kind):
                    original = vars(kind)[name]
                    heard = wrap(original)
                    _replaced.append((kind, name, original, heard))
                    setattr(kind, name, heard)


def ignore(listener: Listener) -> None:
    """Tell `listener` no more, and put torch's methods back where nobody listens."""
    if listener in _LISTENERS:
        _LISTENERS.remove(listener)
    if _LISTENERS:
        return
    for kind, name, original, heard in _replaced:
        if vars(kind).get(name) is heard:
            setattr(kind, name, original)
    _replaced.clear()


def _kinds(kind: type) -> Iterator[type]:
    yield kind
    kinds: list[type] = kind.__subclasses__()
    for each in kinds:
        yield from _kinds(each)


def _scale(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def scale(self: torch.amp.GradScaler, outputs: Any) -> Any:
        product = original(self, outputs)
        if self.is_enabled():
            for listener in tuple(_LISTENERS):
                listener.scaled(self, outputs, product)
        return product

    return scale


def _step(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def step(
        self: torch.amp.GradScaler, optimizer: torch.optim.Optimizer, *args: Any, **kwargs: Any
    ) -> Any:
        if not self.is_enabled():
            return original(self, optimizer, *args, **kwargs)
        for listener in tuple(_LISTENERS):
            listener.before_scaled_step(optimizer)
        result = original(self, optimizer, *args, **kwargs)
        for listener in tuple(_LISTENERS):
            listener.after_scaled_step(optimizer)
        return result

    return step
