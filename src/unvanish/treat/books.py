"""The books of an operation: what was changed, how to put it back, who steps what is new."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Any, Final

import torch
from torch import nn

from unvanish.core.places import SourceLine
from unvanish.core.prescriptions import Edit
from unvanish.treat.refusals import CannotTreatError, refuse_untreatable

_REMEDIES: Final = "_unvanish_remedies"
"""Attribute of a treated network: the names of the remedies it was given, in order."""
_FAST_PATHS: Final = (
    (nn.TransformerEncoder, "use_nested_tensor"),
    (nn.TransformerEncoderLayer, "activation_relu_or_gelu"),
)
"""What a transformer of PyTorch's reads to know whether it may compute a layer in one kernel."""


class Books:
    """Keeps the books on one network and its optimiser, and can put everything back.

    Args:
        model: The network; in most uses a copy.
        optimizer: Its optimiser; new parameters join the group of their layer, those that are
            taken out leave it with their state. None where there is none yet.
    """

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> None:
        refuse_untreatable(model)
        self.model = model
        self.optimizer = optimizer
        self.edits: list[Edit] = []
        self._undo: list[Callable[[], None]] = []

    def hold(self, undo: Callable[[], None], edit: Edit) -> None:
        """Keep the books on a change that was made elsewhere.

        Args:
            undo: Puts it back.
            edit: What was changed.
        """
        self._undo.append(undo)
        self.edits.append(edit)

    def mark(self, remedy: str) -> None:
        """Write a remedy's name on the network, so that it is not given twice."""
        given = given_to(self.model)
        object.__setattr__(self.model, _REMEDIES, (*given, remedy))

        def undo() -> None:
            if given:
                object.__setattr__(self.model, _REMEDIES, given)
            else:
                self.model.__dict__.pop(_REMEDIES, None)

        self._undo.append(undo)

    def undo(self) -> None:
        """Put everything back, last change first."""
        while self._undo:
            self._undo.pop()()
        self.edits.clear()

    def _note(self, place: str, before: str, after: str, source: SourceLine | None) -> None:
        self.edits.append(Edit(place=place, before=before, after=after, source=source))

    def _owner(self, name: str) -> tuple[nn.Module, str]:
        path, _, leaf = name.rpartition(".")
        try:
            return (self.model.get_submodule(path) if path else self.model), leaf
        except AttributeError as error:
            raise CannotTreatError("there is no such parameter", where=name) from error

    def _fit(self, new: nn.Module, old: nn.Module) -> None:
        """Bring a new module to the device and type of the one whose place it takes.

        One that shares parameters with the network stays as it is, since they do.
        """
        beside = chain(old.parameters(), old.buffers(), self.model.parameters())
        like = next((t for t in beside if t.is_floating_point()), None)
        own = [*new.parameters(), *new.buffers()]
        if like is None or all(t.device == like.device and t.dtype == like.dtype for t in own):
            return
        fresh = {id(t) for t in own}
        if not any(id(p) in fresh for p in self.model.parameters()):
            new.to(device=like.device, dtype=like.dtype)

    def _leave_fast_path(self, path: str) -> None:
        """Keep PyTorch's transformer layers from computing in one kernel what was changed.

        In evaluation they read the weights of their parts and call none of them.
        """
        steps = path.split(".") if path else []
        for depth in range(len(steps) + 1):
            module = self.model.get_submodule(".".join(steps[:depth]))
            for kind, name in _FAST_PATHS:
                if isinstance(module, kind) and getattr(module, name, None):
                    self._undo.append(partial(setattr, module, name, getattr(module, name)))
                    setattr(module, name, 0)

    def _join_optimizer(self, new: list[nn.Parameter], *, like: list[Any]) -> None:
        """Put new parameters into the group of those they stand beside."""
        if self.optimizer is None:
            return
        known = {id(p) for each in self.optimizer.param_groups for p in each["params"]}
        new = [p for p in new if id(p) not in known]
        if not new:
            return
        group = _group_of(self.optimizer, like) or self.optimizer.param_groups[0]
        held = list(group["params"])
        group["params"] = [*held, *new]
        optimizer = self.optimizer

        def undo() -> None:
            group["params"] = held
            for parameter in new:
                optimizer.state.pop(parameter, None)

        self._undo.append(undo)

    def _named(self, names: Sequence[str]) -> list[nn.Parameter]:
        found = []
        for name in names:
            path, _, leaf = name.rpartition(".")
            with suppress(AttributeError):
                found.append(self.model.get_submodule(path)._parameters.get(leaf))
        return [parameter for parameter in found if parameter is not None]

    def _exchange_in_optimizer(
        self, old: list[nn.Parameter], new: list[nn.Parameter], *, like: list[nn.Parameter]
    ) -> None:
        """Let new parameters take the place of old ones, whose state goes."""
        optimizer = self.optimizer
        if optimizer is None or not (old or new):
            return
        still = {id(p) for p in self.model.parameters()}
        gone = {id(p) for p in old if id(p) not in still}
        fresh = [p for p in new if not any(p is q for q in old)]
        group = _group_of(optimizer, like or old) or optimizer.param_groups[0]
        lists = [(each, list(each["params"])) for each in optimizer.param_groups]
        state = {p: optimizer.state[p] for p in old if id(p) in gone and p in optimizer.state}
        order = list(optimizer.state)
        for each in optimizer.param_groups:
            each["params"] = [p for p in each["params"] if id(p) not in gone]
        group["params"] = [*group["params"], *fresh]
        for parameter in state:
            del optimizer.state[parameter]

        def undo() -> None:
            for each, held in lists:
                each["params"] = held
            for parameter, kept in state.items():
                optimizer.state[parameter] = kept
            for parameter in fresh:
                optimizer.state.pop(parameter, None)
            now = dict(optimizer.state)
            for one in order:
                if one in now:
                    optimizer.state[one] = optimizer.state.pop(one)

        self._undo.append(undo)


def given_to(model: nn.Module) -> tuple[str, ...]:
    """Return the names of the remedies that a network was given, in order."""
    found: tuple[str, ...] = model.__dict__.get(_REMEDIES, ())
    return found


def _group_of(optimizer: torch.optim.Optimizer, like: list[Any]) -> dict[str, Any] | None:
    ids = {id(p) for p in like}
    for group in optimizer.param_groups:
        if any(id(p) in ids for p in group["params"]):
            return group
    return None
