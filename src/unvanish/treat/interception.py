"""Put something before, behind or in the place of a call, without a change to any code.

A module's `forward` is shadowed by an instance attribute that runs the class's own. It holds no
tensor and no module of its own: what it calls is registered in the network, so that ``.to()``,
``.train()``, the state dict and `copy.deepcopy` know it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from threading import get_ident
from types import MethodType
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.overrides import TorchFunctionMode

from unvanish.core.errors import UnvanishError
from unvanish.core.operations import clean
from unvanish.treat.relay import Relay
from unvanish.treat.turns import CheckpointGuard, Turns

MARK: Final = "forward"
"""Name of the instance attribute. A module has one where its dict has it."""

_CHILDREN: Final = frozenset({"children", "named_children", "modules", "named_modules", "_modules"})


@dataclass(slots=True, kw_only=True, eq=False)
class Insertion:
    """One thing to do around a call.

    Attributes:
        name: The submodule that does it, a child of the module whose forward is shadowed; empty
            where nothing is computed.
        function: Name of the torch function in that forward that is meant, such as ``"sigmoid"``;
            empty for the module's own call.
        call: Which of its calls in one forward, from 0; None for every one.
        where: ``"before"`` changes the first argument, ``"after"`` the output; ``"instead"``
            computes the output from the first argument; ``"through"`` is called with (output,
            first argument) and gives another output; ``"remember"`` puts the first argument
            into the relay, ``"recall"`` combines the output with what is in it: the submodule
            is called with (output, remembered). A recall without a submodule uses that of the
            remember; ``"scope"`` bounds the life of what is carried by the module's call.
            ``"begin"`` lets `turns` begin anew.
        relay: For the last three.
        argument: Which argument of the function ``"before"`` changes, from 0: 1 is the weight of a
            linear layer or a convolution.
        turns: Which calls in a forward pass of the whole network are meant; None for every one.
        shared: Whether the end of a connection is also passed without one: a function that
            several places call.
        passes: Ends that what is remembered passes before it is recalled.
    """

    name: str
    where: str
    function: str = ""
    call: int | None = None
    relay: Relay | None = None
    shared: bool = False
    passes: int = 0
    argument: int = 0
    turns: Turns | None = None
    fired: int = 0
    """How often the call was met, so that an insertion nobody passes is noticed."""


class ShadowForward:
    """Runs a module's forward with insertions.

    Args:
        module: The module whose forward is shadowed.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.own: Callable[..., Any] | None = module.__dict__.get(MARK)
        self.insertions: list[Insertion] = []
        self._aside: dict[str, nn.Module] = {}

    @property
    def __signature__(self) -> inspect.Signature:
        """What the module's own forward takes: trainers and libraries ask for it."""
        return inspect.signature(self.own or MethodType(type(self.module).forward, self.module))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the module's own forward between what was inserted."""
        for one in self.insertions:
            if one.where == "begin" and one.turns is not None:
                one.fired += 1
                one.turns.begin()
        around = [one for one in self.insertions if not one.function and _is_due(one)]
        within = [one for one in self.insertions if one.function]
        relays = [one.relay for one in around if one.where == "scope" and one.relay is not None]
        for one in around:
            one.fired += 1
        for relay in relays:
            relay.enter()
        try:
            return self._run(around, within, args, kwargs)
        finally:
            for relay in relays:
                relay.leave()

    def _run(
        self,
        around: list[Insertion],
        within: list[Insertion],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        for one in around:
            if one.where == "remember":
                self._put(one, _first(args, kwargs))
        given = _first(args, kwargs) if any(o.where == "through" for o in around) else None
        for one in around:
            if one.where == "before":
                args, kwargs = _with_first(args, kwargs, self._part(one))
        replaced = next((one for one in around if one.where == "instead"), None)
        if replaced is not None:
            output = self._part(replaced)(_first(args, kwargs))
        else:
            inside: AbstractContextManager[Any] = _Watch(self, within) if within else nullcontext()
            with inside, self._apart():
                run = self.own if self.own is not None else type(self.module).forward
                output = run(*args, **kwargs) if self.own else run(self.module, *args, **kwargs)
        for one in around:
            if one.where == "after":
                output = on_main(output, self._part(one))
            elif one.where == "through":
                output = on_main(output, partial(_call_with, self._part(one), given))
            elif one.where == "recall":
                output = on_main(output, _Recall(one, self))
        return output

    def _part(self, one: Insertion) -> nn.Module:
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

    def _put(self, one: Insertion, value: Any) -> None:
        if one.relay is not None and isinstance(value, Tensor):
            one.relay.put(value, self._part(one) if one.name else None, one.passes)


class _Watch(TorchFunctionMode):
    """Acts on torch functions that a module calls itself, and not those of its children."""

    def __init__(self, shadow: ShadowForward, insertions: list[Insertion]) -> None:
        super().__init__()
        self._shadow = shadow
        self._by_function: dict[str, dict[int | None, list[Insertion]]] = {}
        for one in insertions:
            self._by_function.setdefault(one.function, {}).setdefault(one.call, []).append(one)
        self._seen: dict[str, int] = {}
        self._below = 0
        self._hooks: list[Any] = []
        self._thread = get_ident()
        self._children = {id(part) for part in shadow.module.modules()}
        self._guard = CheckpointGuard()

    def __enter__(self) -> _Watch:
        self._hooks = [
            register_module_forward_pre_hook(self._go_down),
            register_module_forward_hook(self._come_up, always_call=True),
        ]
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *exception: Any) -> None:
        super().__exit__(*exception)  # type: ignore[no-untyped-call]
        for hook in self._hooks:
            hook.remove()

    def _go_down(self, module: nn.Module, args: Any) -> None:  # noqa: ARG002
        # One that is held in a list or made on the spot is no module of the network's: what it
        # calls, the module around it calls.
        self._below += self._is_child(module)

    def _come_up(self, module: nn.Module, args: Any, output: Any) -> None:  # noqa: ARG002
        self._below -= self._is_child(module)

    def _is_child(self, module: nn.Module) -> bool:
        # The hooks are everybody's: another thread may run the same network.
        return id(module) in self._children and get_ident() == self._thread

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        options: Mapping[str, Any] = kwargs or {}
        raw = name_of(func)
        wanted = self._by_function.get(clean(raw)) if self._below == 0 else None
        if wanted and not args and "input" in options:
            options = dict(options)
            args = (options.pop("input"),)
        if not wanted or not args:
            return func(*args, **options)
        position = self._seen.get(clean(raw), 0)
        self._seen[clean(raw)] = position + 1
        due = [one for one in (*wanted.get(None, ()), *wanted.get(position, ())) if _is_due(one)]
        if not due:
            return func(*args, **options)
        self._guard.refuse(type(self._shadow.module).__name__)
        for one in due:
            one.fired += 1
            if one.where == "remember":
                self._shadow._put(one, args[0])
            elif one.where == "before":
                args, options = _with_nth(args, options, one.argument, self._shadow._part(one))
        replaced = next((one for one in due if one.where == "instead"), None)
        changed = any(one.where in ("instead", "after", "through", "recall") for one in due)
        in_place = changed and _is_in_place(raw, args, options)
        target = args[0]
        if in_place:
            args = (target.clone(), *args[1:])
        if replaced is not None:
            output = self._shadow._part(replaced)(args[0])
        else:
            output = func(*args, **options)
        for one in due:
            if one.where == "after":
                output = on_main(output, self._shadow._part(one))
            elif one.where == "through":
                output = on_main(output, partial(_call_with, self._shadow._part(one), target))
            elif one.where == "recall":
                output = on_main(output, _Recall(one, self._shadow))
        return target.copy_(output) if in_place else output


class _Recall:
    """Combines an output with what a relay carries."""

    def __init__(self, one: Insertion, shadow: ShadowForward) -> None:
        self._one, self._shadow = one, shadow

    def __call__(self, output: Tensor) -> Tensor:
        relay = self._one.relay
        carried = relay.take() if relay is not None else None
        if relay is None or carried is None:
            if relay is not None and not relay.is_open and not self._one.shared:
                _refuse_half_recomputed(self._shadow.module)
            return output
        part = self._shadow._part(self._one) if self._one.name else carried.part
        if part is None:
            return output
        combined: Tensor = part(output, carried.value)
        return combined


def name_of(func: Callable[..., Any]) -> str:
    """Return what a torch function is called: that of reading ``x.data`` is ``"data"``."""
    name: str = getattr(func, "__name__", "")
    if name == "__get__":
        name = getattr(getattr(func, "__self__", None), "__name__", name)
    return name


def _call_with(part: nn.Module, given: Any, output: Tensor) -> Any:
    return part(output, given)


def _runs_its_children(module: nn.Module) -> bool:
    """Tell whether a module's forward goes through its children, as `nn.Sequential` does."""
    if isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict):
        return True
    code = getattr(type(module).forward, "__code__", None)
    return code is not None and not _CHILDREN.isdisjoint(code.co_names)


def _is_due(one: Insertion) -> bool:
    return one.where != "begin" and (one.turns is None or one.turns.is_meant())


def _with_nth(
    args: tuple[Any, ...], options: Mapping[str, Any], number: int, change: Callable[[Any], Any]
) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    """Change one argument of a function; a weight may be given by its name."""
    if number < len(args):
        return (*args[:number], change(args[number]), *args[number + 1 :]), options
    return args, {**options, "weight": change(options["weight"])}


def _refuse_half_recomputed(module: nn.Module) -> None:
    """Refuse to recompute the end of a connection without its beginning: gradients would be wrong.

    Raises:
        UnvanishError: If a backward pass is running.
    """
    if torch._C._current_graph_task_id() != -1:
        raise UnvanishError(
            "a connection ends in a checkpointed part of the network and begins outside of it",
            where=type(module).__name__,
            help="draw the checkpoint around the whole block, or leave it out",
        )


def on_main(output: Any, change: Callable[[Tensor], Any]) -> Any:
    """Change the main tensor of an output: itself, or the first of a tuple, list or mapping."""
    if isinstance(output, Tensor):
        return change(output)
    if isinstance(output, tuple) and output and isinstance(output[0], Tensor):
        rest = (change(output[0]), *output[1:])
        return type(output)(*rest) if hasattr(output, "_fields") else rest
    if isinstance(output, list) and output and isinstance(output[0], Tensor):
        return [change(output[0]), *output[1:]]
    return output


def _first(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    return args[0] if args else next(iter(kwargs.values()))


def _with_first(
    args: tuple[Any, ...], kwargs: dict[str, Any], change: Callable[[Any], Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Change the first argument, and every other that is the same tensor: attention(x, x, x)."""
    old = _first(args, kwargs)
    new = change(old)
    return (
        tuple(new if one is old else one for one in args),
        {name: new if one is old else one for name, one in kwargs.items()},
    )


def _is_in_place(raw: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Tell whether a call writes into its first argument: ``x.relu_()``, ``inplace=True``."""
    if raw.startswith("__i") or (raw.endswith("_") and not raw.endswith("__")):
        return True
    return bool(kwargs.get("inplace")) or any(one is True for one in args[1:])


def is_shadowed(module: nn.Module) -> bool:
    """Tell whether a module's forward has insertions."""
    return isinstance(module.__dict__.get(MARK), ShadowForward)


def shadow(module: nn.Module) -> ShadowForward:
    """Return the shadow of a module's forward, made where there is none.

    Args:
        module: Any module but a scripted one.
    """
    if not is_shadowed(module):
        object.__setattr__(module, MARK, ShadowForward(module))
    found: ShadowForward = module.__dict__[MARK]
    return found


def unshadow(module: nn.Module) -> None:
    """Take the shadow off a module again."""
    found = module.__dict__.pop(MARK, None)
    if isinstance(found, ShadowForward) and found.own is not None:
        object.__setattr__(module, MARK, found.own)


def free_name(module: nn.Module, stem: str) -> str:
    """Return a name for a new child of a module that nothing of it has yet."""
    name, number = stem, 1
    while hasattr(module, name):
        number += 1
        name = f"{stem}_{number}"
    return name
