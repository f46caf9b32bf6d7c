"""The one place that changes a network: values, modules, calls, connections, the optimiser.

Everything is written down and can be undone to the last bit. What cannot be operated on is
refused with a reason before anything is touched.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import torch
from torch import nn

from unvanish.core.places import SourceLine
from unvanish.treat.books import given_to
from unvanish.treat.inserting import CallSurgery, common_path
from unvanish.treat.interception import is_shadowed
from unvanish.treat.refusals import CannotTreatError, NoEffectError, refuse_untreatable
from unvanish.treat.values import ValueSurgery

__all__ = [
    "CannotTreatError",
    "NoEffectError",
    "Surgery",
    "common_path",
    "given_to",
    "refuse_untreatable",
]

_HOOKS: Final = ("_forward_hooks", "_forward_pre_hooks", "_backward", "_is_full_backward_hook")
"""Beginnings of the attributes in which a module keeps its hooks, and how it calls them."""

_MOST_HELD: Final = 4096
"""Longest list or dict that is searched for a module; a longer one holds data."""

_EVERY_MODULES: Final = frozenset(nn.Module().__dict__)
"""Attributes that PyTorch gives every module: its tables of parts and its hooks."""


class Surgery(ValueSurgery, CallSurgery):
    """Changes one network in place, keeps the books, and can put everything back.

    Args:
        model: The network; in most uses a copy.
        optimizer: Its optimiser; new parameters join the group of their layer, those that are
            taken out leave it with their state. None where there is none yet.
    """

    def replace(
        self,
        path: str,
        new: nn.Module,
        *,
        what: str = "",
        like: Sequence[str] = (),
        source: SourceLine | None = None,
    ) -> None:
        """Put another module in the place of one, wherever the network holds it.

        Hooks, mode, device and type of the old one carry over; a module that is shared stays
        shared.

        Args:
            path: Path of the old module; not the root.
            new: What stands there from now on.
            what: What it is called in the books; its class name by default.
            like: Names of the parameters whose group of the optimiser new ones join; those of the
                old module by default.
            source: The user's line that made the old module.

        Raises:
            CannotTreatError: If the path is the root, or the module was given insertions.
        """
        if not path:
            raise CannotTreatError("the whole network cannot be replaced by another")
        old = self.model.get_submodule(path)
        self._fit(new, old)
        if is_shadowed(old):
            raise CannotTreatError(
                "something was inserted into this module before, and would be lost", where=path
            )
        _share_hooks(old, new)
        new.train(old.training)
        modules = _modules_of(self.model)
        places = [
            (parent, name)
            for parent in modules
            for name, child in parent._modules.items()
            if child is old
        ]
        for parent, name in places:
            parent._modules[name] = new
        hidden = [found for module in modules for found in _holders_of(module, old)]
        for holder, key in hidden:
            holder[key] = new

        def undo() -> None:
            for parent, name in places:
                parent._modules[name] = old
            for holder, key in hidden:
                holder[key] = old

        self._undo.append(undo)
        self._leave_fast_path(path)
        self._exchange_in_optimizer(
            list(old.parameters()), list(new.parameters()), like=self._named(like)
        )
        self._note(path, type(old).__name__, what or type(new).__name__, source)

    def set_attribute(
        self, path: str, name: str, value: Any, *, source: SourceLine | None = None
    ) -> None:
        """Set a plain attribute of a module, such as ``norm_first``."""
        module = self.model.get_submodule(path) if path else self.model
        old = getattr(module, name)
        setattr(module, name, value)
        self._undo.append(lambda: setattr(module, name, old))
        self._note(path, f"{name}={old!r}", f"{name}={value!r}", source)

    def exchange_optimizer(self, new: torch.optim.Optimizer, *, before: str, after: str) -> None:
        """Train with another optimiser."""
        old = self.optimizer
        self.optimizer = new

        def undo() -> None:
            self.optimizer = old

        self._undo.append(undo)
        self._note("", before, after, None)

    def set_option(self, name: str, value: Any) -> None:
        """Set an option such as ``eps`` in every group of the optimiser that has it.

        Raises:
            CannotTreatError: If there is no optimiser, or no group has the option.
        """
        if self.optimizer is None:
            raise CannotTreatError(f"there is no optimiser whose {name} could be set")
        groups = [group for group in self.optimizer.param_groups if name in group]
        if not groups:
            raise CannotTreatError(f"{type(self.optimizer).__name__} has no option {name!r}")
        old = [group[name] for group in groups]
        for group in groups:
            group[name] = value

        def undo() -> None:
            for group, was in zip(groups, old, strict=True):
                group[name] = was

        self._undo.append(undo)
        if any(was != value for was in old):
            self._note("", f"{name}={_said(old[0])}", f"{name}={_said(value)}", None)


def _share_hooks(old: nn.Module, new: nn.Module) -> None:
    """Let a module call the hooks of another one, and forget those that are removed from it."""
    for name, table in old.__dict__.items():
        if name.startswith(_HOOKS):
            new.__dict__[name] = table


def _modules_of(model: nn.Module) -> list[nn.Module]:
    """Return every module once: what `Module.modules` gives, without the price of its names."""
    found, known = [model], {id(model)}
    for module in found:
        for child in module._modules.values():
            if child is not None and id(child) not in known:
                known.add(id(child))
                found.append(child)
    return found


def _holders_of(module: nn.Module, held: nn.Module) -> Iterator[tuple[Any, Any]]:
    """Yield the plain attributes, lists and dicts that hold a module too, with its key in each."""
    own = module.__dict__
    for key in own.keys() - _EVERY_MODULES:
        if own[key] is held:
            yield own, key
        elif type(own[key]) in (list, dict) and len(own[key]) <= _MOST_HELD:
            yield from _holders_in(own[key], held, 2)


def _holders_in(holder: Any, held: nn.Module, depth: int) -> Iterator[tuple[Any, Any]]:
    entries = holder.items() if isinstance(holder, dict) else enumerate(holder)
    for key, value in list(entries):
        if value is held:
            yield holder, key
        elif type(value) in (list, dict) and depth and len(value) <= _MOST_HELD:
            yield from _holders_in(value, held, depth - 1)


def _said(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else repr(value)
