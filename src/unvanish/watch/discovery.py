"""Find models and optimisers as a program uses them, without a change to the program.

An optimiser is seen when it is made. The next module that is called and holds some of its
parameters leads to the model: the outermost module around it, which need not be called itself
(`model.loss(x)` is an ordinary method). An optimiser that was not seen in this way, because it was
made before or came out of a pickle, is seen at its first step.

A hook on all modules is there from the making of an optimiser until its model is found, and no
longer. Where anything is compiled there is none at all, as `torch.compile` warns about it; models
are then found at the first step.
"""

from __future__ import annotations

import functools
import gc
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Protocol

import torch
from torch import nn
from torch.nn.modules import module as torch_module
from torch.optim.optimizer import Optimizer, register_optimizer_step_pre_hook
from torch.utils.hooks import RemovableHandle

from unvanish.watch.naming import name_of

_PATIENCE: Final = 16
"""After so many steps of optimisers that are known, nobody waits for a module to be called."""

_WRAPPERS: Final = {"DistributedDataParallel", "DataParallel"}
"""Modules that only pass calls on: the model is what they hold."""


class Watching(Protocol):
    """What models and optimisers are handed to."""

    def add(
        self,
        model: nn.Module | None = None,
        optimizer: Optimizer | None = None,
        name: str = "",
    ) -> None:
        """Watch a model, an optimiser or both."""
        ...

    def start(self) -> object:
        """Begin to watch; called when the first model or optimiser has been added."""
        ...


class Discovery:
    """Adds the models and optimisers that a program uses to a watch.

    Nothing that goes wrong in here reaches the program.

    Args:
        watching: Makes the watch; called when the first optimiser is used.
        failed: Called with what went wrong, after which nothing is looked for any more.
    """

    def __init__(
        self, watching: Callable[[], Watching], failed: Callable[[Exception], None]
    ) -> None:
        self.watch: Watching | None = None
        self._watching = watching
        self._failed = failed
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._waiting: dict[int, weakref.ref[Optimizer]] = {}
        self._known: weakref.WeakValueDictionary[int, Optimizer] = weakref.WeakValueDictionary()
        self._added: list[weakref.ref[nn.Module]] = []
        self._others: weakref.WeakValueDictionary[int, nn.Module] = weakref.WeakValueDictionary()
        self._names: set[str] = set()
        self._is_compiled = False
        self._steps = 0
        self._calls: RemovableHandle | None = None
        self._handles: list[RemovableHandle] = []
        self._undo: list[Callable[[], None]] = []

    def start(self, *, existing: bool = False) -> None:
        """Begin to look.

        Args:
            existing: Whether there are optimisers already, as in a notebook.
        """
        self._handles.append(register_optimizer_step_pre_hook(self._before_step))
        self._replace(Optimizer, "__init__", self._announced)
        self._replace(torch, "compile", self._noted)
        if existing:
            for optimizer in _living(Optimizer):
                self._wait_for(optimizer)

    def stop(self) -> None:
        """Take everything away that was put anywhere."""
        self._stop_listening()
        for handle in self._handles:
            handle.remove()
        for undo in self._undo:
            undo()
        self._handles.clear()
        self._undo.clear()
        self._waiting.clear()

    # --- what is put into torch ------------------------------------------------------

    def _replace(
        self, owner: Any, name: str, wrapped: Callable[[Callable[..., Any]], Callable[..., Any]]
    ) -> None:
        original = getattr(owner, name)
        replacement = functools.wraps(original)(wrapped(original))
        setattr(owner, name, replacement)

        def undo() -> None:
            if getattr(owner, name) is replacement:
                setattr(owner, name, original)

        self._undo.append(undo)

    def _announced(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def made(optimizer: Optimizer, *args: Any, **kwargs: Any) -> None:
            original(optimizer, *args, **kwargs)
            self._guarded(self._wait_for, optimizer)

        return made

    def _noted(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def compiled(*args: Any, **kwargs: Any) -> Any:
            self._is_compiled = True
            self._stop_listening()
            return original(*args, **kwargs)

        return compiled

    def _before_call(self, module: nn.Module, inputs: Any) -> None:
        is_training = torch.is_grad_enabled() and torch._C._get_tracing_state() is None
        if not is_training or id(module) in self._others:
            return
        before = _pre_hooks(module)
        self._guarded(self._called, module)
        for key, hook in _pre_hooks(module).items():
            if key not in before:  # torch has read already which ones to run
                hook(inputs)

    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        del args, kwargs
        if torch.compiler.is_compiling():
            return
        if self._known.get(id(optimizer)) is not optimizer:
            self._guarded(self._stepped, optimizer)
        elif self._calls is not None:
            self._steps += 1
            if self._steps >= _PATIENCE:
                self._stop_listening()

    def _guarded(self, look: Callable[[Any], None], found: Any) -> None:
        if os.getpid() != self._process or not self._lock.acquire(blocking=False):
            return
        try:
            look(found)
        except Exception as error:
            self.stop()
            self._failed(error)
        finally:
            self._lock.release()

    # --- looking -----------------------------------------------------------------------

    def _wait_for(self, optimizer: Optimizer) -> None:
        self._waiting[id(optimizer)] = weakref.ref(optimizer)
        self._others.clear()
        self._steps = 0
        if self._calls is None and not self._is_compiled:
            self._calls = torch_module.register_module_forward_pre_hook(self._before_call)

    def _stop_listening(self) -> None:
        if self._calls is not None:
            self._calls.remove()
            self._calls = None

    def _expected(self) -> list[Optimizer]:
        """Return the optimisers whose model is not known yet."""
        return [made for each in self._waiting.values() if (made := each()) is not None]

    def _called(self, module: nn.Module) -> None:
        """Follow a module that is called to the model it belongs to."""
        if not self._expected():  # it was thrown away
            self._stop_listening()
            return
        wanted = {id(p) for optimizer in self._expected() for p in _moved(optimizer)}
        if wanted.isdisjoint(map(id, module.parameters())):
            self._others[id(module)] = module
            return
        roots = _roots(wanted)
        held = _held(module)
        model = next((each for each in roots if not held.isdisjoint(_held(each))), module)
        held = _held(model)
        self._add(
            [model],
            [each for each in self._expected() if not held.isdisjoint(map(id, _moved(each)))],
            is_only=len(roots) <= 1,
        )

    def _stepped(self, optimizer: Optimizer) -> None:
        """Find the models of an optimiser that makes its first step without being known."""
        covered = {key for each in self._added if (model := each()) for key in _held(model)}
        wanted = {id(p) for p in _moved(optimizer)} - covered
        roots = _roots(wanted) if wanted else []
        self._add(roots, [optimizer], is_only=len(roots) <= 1)

    def _add(self, models: list[nn.Module], optimizers: list[Optimizer], *, is_only: bool) -> None:
        is_first = self.watch is None
        if self.watch is None:
            self.watch = self._watching()
        for model in models:
            if any(each() is model for each in self._added):
                continue
            is_alone = is_only and not self._added
            self.watch.add(model=model, name="" if is_alone else self._free_name(model))
            self._added.append(weakref.ref(model))
        for optimizer in optimizers:
            self._waiting.pop(id(optimizer), None)
            if self._known.get(id(optimizer)) is not optimizer:
                self._known[id(optimizer)] = optimizer
                self.watch.add(optimizer=optimizer)
        if is_first:
            self.watch.start()
        if not self._expected():
            self._stop_listening()

    def _free_name(self, model: nn.Module) -> str:
        wanted = name_of(model)
        name, number = wanted, 2
        while name in self._names:
            name, number = f"{wanted}_{number}", number + 1
        self._names.add(name)
        return name


def _pre_hooks(module: nn.Module) -> dict[int, Callable[[Any], object]]:
    """Return what is called before a module, by the key of its hook, to be called by hand."""
    with_names = module._forward_pre_hooks_with_kwargs
    own = {
        key: functools.partial(_call, hook, module, named=key in with_names)
        for key, hook in module._forward_pre_hooks.items()
    }
    of_all = {
        key: functools.partial(_call, hook, module, named=False)
        for key, hook in torch_module._global_forward_pre_hooks.items()
    }
    return {**of_all, **own}


def _call(hook: Callable[..., object], module: nn.Module, inputs: Any, *, named: bool) -> object:
    return hook(module, inputs, {}) if named else hook(module, inputs)


def _living(kind: type[Any]) -> list[Any]:
    """Return all objects of a class, without running code of any other object."""
    return [each for each in gc.get_objects() if issubclass(type(each), kind)]


def _moved(optimizer: Optimizer) -> Iterator[torch.Tensor]:
    for group in vars(optimizer).get("param_groups", ()):
        yield from group["params"]


def _held(model: nn.Module) -> set[int]:
    return {id(parameter) for parameter in model.parameters()}


def _roots(wanted: set[int]) -> list[nn.Module]:
    """Return the outermost modules that hold these parameters, as few as it takes.

    Args:
        wanted: Identities of the parameters.
    """
    parents: dict[int, list[nn.Module]] = {}
    owners = []
    for module in _living(nn.Module):
        parts = vars(module)
        for child in {id(c): c for c in _values(parts.get("_modules")) if c is not None}.values():
            if type(module).__name__ not in _WRAPPERS:
                parents.setdefault(id(child), []).append(module)
        if any(id(p) in wanted for p in _values(parts.get("_parameters"))):
            owners.append(module)
    outermost: dict[int, nn.Module] = {}
    for owner in owners:
        outermost.update((id(top), top) for top in _tops(owner, parents))
    held = {key: _held(module) for key, module in outermost.items()}
    chosen: list[nn.Module] = []
    left = set(wanted)
    for key in sorted(held, key=lambda key: (-len(held[key] & wanted), len(held[key]))):
        if not left.isdisjoint(held[key]):
            left -= held[key]
            chosen.append(outermost[key])
    return chosen


def _tops(module: nn.Module, parents: dict[int, list[nn.Module]]) -> Iterable[nn.Module]:
    seen = {id(module)}
    waiting = [module]
    while waiting:
        each = waiting.pop()
        above = parents.get(id(each), [])
        if not above:
            yield each
        for parent in above:
            if id(parent) not in seen:
                seen.add(id(parent))
                waiting.append(parent)


def _values(table: Any) -> list[Any]:
    return list(table.values()) if hasattr(table, "values") else []
