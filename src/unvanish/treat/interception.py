"""Put something before, behind or in the place of a call, without a change to any code.

A module's `forward` is shadowed by an instance attribute that runs the class's own. It holds no
tensor and no module of its own: what it calls is registered in the network, so that ``.to()``,
``.train()``, the state dict and `copy.deepcopy` know it.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from threading import get_ident
from types import CodeType, MethodType
from typing import Any, Final

from torch import Tensor, nn

from unvanish.treat.insertions import (
    Insertion,
    call_with,
    first_of,
    is_due,
    name_of,
    on_main,
    with_first,
)
from unvanish.treat.methods import Memory, cover, uncover
from unvanish.treat.translating import refuse_proxies, refuse_script, refuse_symbols
from unvanish.treat.within import Recall, Watch

__all__ = [
    "MARK",
    "NAME",
    "REPLICATE",
    "Insertion",
    "ShadowForward",
    "free_name",
    "is_shadowed",
    "name_of",
    "on_main",
    "shadow",
    "unshadow",
]

MARK: Final = "forward"
"""Name of the instance attribute. A module has one where its dict has it."""
REPLICATE: Final = "_replicate_for_data_parallel"
"""Name of the method by which `nn.DataParallel` makes a module's replicas."""

NAME: Final = "_get_name"
"""Name of the method by which a tracer asks for a module's name before it runs its class's code."""

_CHILDREN: Final = frozenset({"children", "named_children", "modules", "named_modules", "_modules"})


class ShadowForward:
    """Runs a module's forward with insertions.

    Args:
        module: The module whose forward is shadowed.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.own: Callable[..., Any] | None = module.__dict__.get(MARK)
        self.insertions: list[Insertion] = []
        self.memory: Memory | None = None
        self._aside: dict[str, nn.Module] = {}
        self._running: list[int] = []

    def replicate(self) -> nn.Module:
        """Return a replica of the module for `nn.DataParallel`, with a shadow of its own.

        PyTorch copies the attributes of a module, and would run the first one's forward.
        """
        kind = type(self.module)
        replica: nn.Module = kind._replicate_for_data_parallel(self.module)
        shade = ShadowForward(replica)
        shade.own, shade.insertions = self.own, self.insertions
        replica.__dict__[MARK] = shade
        replica.__dict__.pop(REPLICATE, None)
        replica.__dict__.pop(NAME, None)
        uncover(replica)
        return replica

    def name(self) -> str:
        """Return the name of the module's class; a tracer that passes the shadow by is refused."""
        refuse_symbols(sys._getframe(1), self.module)
        return str(type(self.module)._get_name(self.module))

    @property
    def __signature__(self) -> inspect.Signature:
        """What the module's own forward takes: trainers and libraries ask for it."""
        return inspect.signature(self._forward)

    @property
    def __code__(self) -> CodeType:
        """The code of the module's own forward: `torch.export` names its inputs after it."""
        found: CodeType = self._forward.__code__
        return found

    @property
    def __globals__(self) -> dict[str, Any]:
        """None that this forward could be compiled from, and `torch.jit.script` is told so.

        Raises:
            AttributeError: If anything else asks.
        """
        refuse_script(sys._getframe(1), self.module)
        raise AttributeError("a forward with insertions has no __globals__")

    @property
    def _forward(self) -> Any:
        return self.own or MethodType(type(self.module).forward, self.module)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the module's own forward between what was inserted."""
        refuse_proxies(args, kwargs, self.module)
        with self._begun():
            around = [one for one in self.insertions if not one.function and is_due(one)]
            for one in around:
                one.fired += 1
            return self._run(around, args, kwargs)

    @contextmanager
    def _begun(self) -> Iterator[None]:
        """Let calls be counted anew, and bound the life of what connections carry."""
        relays = []
        for one in self.insertions:
            if one.where == "begin" and one.turns is not None:
                one.fired += 1
                one.turns.begin()
            elif one.where == "scope" and one.relay is not None:
                one.fired += 1
                relays.append(one.relay)
        for relay in relays:
            relay.enter()
        self._running.append(get_ident())
        try:
            yield
        finally:
            self._running.remove(get_ident())
            for relay in relays:
                relay.leave()

    @property
    def depth(self) -> int:
        """How many runs of the forward, or of a method by itself, are under way in this thread."""
        return self._running.count(get_ident())

    @contextmanager
    def outside(self) -> Iterator[None]:
        """Let what was inserted act on the calls of a method that is called by itself."""
        with self._begun(), Watch(self, self.within, is_forward=False), self._apart():
            yield

    @property
    def within(self) -> list[Insertion]:
        """The insertions around functions that the forward calls."""
        return [one for one in self.insertions if one.function]

    def fit_methods(self) -> None:
        """Cover the module's methods where anything was inserted that they may pass."""
        uncover(self.module)
        is_met = any(one.function or one.where == "scope" for one in self.insertions)
        self.memory = Memory() if is_met and cover(self) else None

    def _run(
        self,
        around: list[Insertion],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        for one in around:
            if one.where == "remember":
                self.put(one, first_of(args, kwargs))
        given = first_of(args, kwargs) if any(o.where == "through" for o in around) else None
        for one in around:
            if one.where == "before":
                args, kwargs = with_first(args, kwargs, self.part(one))
        replaced = next((one for one in around if one.where == "instead"), None)
        if replaced is not None:
            output = self.part(replaced)(first_of(args, kwargs))
        else:
            within = self.within
            inside: AbstractContextManager[Any] = Watch(self, within) if within else nullcontext()
            with inside, self._apart():
                run = self.own if self.own is not None else type(self.module).forward
                output = run(*args, **kwargs) if self.own else run(self.module, *args, **kwargs)
        for one in around:
            if one.where == "after":
                output = on_main(output, self.part(one), one.element)
            elif one.where == "through":
                output = on_main(output, partial(call_with, self.part(one), given))
            elif one.where == "recall":
                output = on_main(output, Recall(one, self))
        return output

    def part(self, one: Insertion) -> nn.Module:
        """Return the submodule that does what an insertion says."""
        aside = self._aside.get(one.name)
        return aside if aside is not None else self.module.get_submodule(one.name)

    @contextmanager
    def _apart(self) -> Iterator[None]:
        """Keep what was inserted out of the way of a forward that runs all children in turn."""
        if not _runs_its_children(self.module):
            yield
            return
        children = self.module._modules
        names = [one.name for one in self.insertions if one.name in children]
        aside = {name: part for name in names if (part := children.pop(name)) is not None}
        self._aside.update(aside)
        try:
            yield
        finally:
            for name, part in aside.items():
                del self._aside[name]
                children[name] = part

    def put(self, one: Insertion, value: Any) -> None:
        """Put a tensor into the relay of an insertion."""
        if one.relay is not None and isinstance(value, Tensor):
            one.relay.put(value, self.part(one) if one.name else None, one.passes)


def _runs_its_children(module: nn.Module) -> bool:
    """Tell whether a module's forward goes through its children, as `nn.Sequential` does."""
    if isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict):
        return True
    code = getattr(type(module).forward, "__code__", None)
    return code is not None and not _CHILDREN.isdisjoint(code.co_names)


def is_shadowed(module: nn.Module) -> bool:
    """Tell whether a module's forward has insertions."""
    return isinstance(module.__dict__.get(MARK), ShadowForward)


def shadow(module: nn.Module) -> ShadowForward:
    """Return the shadow of a module's forward, made where there is none.

    Args:
        module: Any module but a scripted one.
    """
    if not is_shadowed(module):
        shade = ShadowForward(module)
        object.__setattr__(module, MARK, shade)
        object.__setattr__(module, REPLICATE, shade.replicate)
        object.__setattr__(module, NAME, shade.name)
    found: ShadowForward = module.__dict__[MARK]
    return found


def unshadow(module: nn.Module) -> None:
    """Take the shadow off a module again."""
    found = module.__dict__.pop(MARK, None)
    module.__dict__.pop(REPLICATE, None)
    module.__dict__.pop(NAME, None)
    uncover(module)
    if isinstance(found, ShadowForward) and found.own is not None:
        object.__setattr__(module, MARK, found.own)


def free_name(module: nn.Module, stem: str) -> str:
    """Return a name for a new child of a module that nothing of it has yet."""
    name, number = stem, 1
    while hasattr(module, name):
        number += 1
        name = f"{stem}_{number}"
    return name
