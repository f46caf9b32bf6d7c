"""Put something before, behind or in the place of a call, without a change to any code.

A module's `forward` is shadowed by an instance attribute that runs the class's own. It holds no
tensor and no module of its own: what it calls is registered in the network, so that ``.to()``,
``.train()``, the state dict and `copy.deepcopy` know it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Final

from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.overrides import TorchFunctionMode

from unvanish.core.operations import clean

MARK: Final = "forward"
"""Name of the instance attribute. A module has one where its dict has it."""


@dataclass(slots=True)
class Relay:
    """Carries a tensor from where a connection begins to where it ends.

    Attributes:
        held: What was put in and not yet taken out, the innermost call last.
    """

    held: list[Tensor] = field(default_factory=list)

    def __deepcopy__(self, memo: dict[int, Any]) -> Relay:
        twin = Relay()
        memo[id(self)] = twin
        return twin


@dataclass(slots=True, kw_only=True)
class Insertion:
    """One thing to do around a call.

    Attributes:
        name: The submodule that does it, a child of the module whose forward is shadowed; empty
            where nothing is computed.
        function: Name of the torch function in that forward that is meant, such as ``"sigmoid"``;
            empty for the module's own call.
        call: Which of its calls in one forward, from 0; None for every one.
        where: ``"before"`` changes the first argument, ``"after"`` the output; ``"instead"``
            computes the output from the first argument; ``"remember"`` puts the first argument
            into the relay, ``"recall"`` combines the output with what is in it: the submodule
            is called with (output, remembered).
        relay: For the last two.
    """

    name: str
    where: str
    function: str = ""
    call: int | None = None
    relay: Relay | None = None
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

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the module's own forward between what was inserted."""
        around = [one for one in self.insertions if not one.function]
        within = [one for one in self.insertions if one.function]
        for one in around:
            one.fired += 1
        for one in around:
            if one.where == "remember":
                _put(one, _first(args, kwargs))
        for one in around:
            if one.where == "before":
                args, kwargs = _with_first(args, kwargs, self._part(one))
        replaced = next((one for one in around if one.where == "instead"), None)
        if replaced is not None:
            output = self._part(replaced)(_first(args, kwargs))
        else:
            inside: AbstractContextManager[Any] = _Watch(self, within) if within else nullcontext()
            with inside:
                run = self.own if self.own is not None else type(self.module).forward
                output = run(*args, **kwargs) if self.own else run(self.module, *args, **kwargs)
        for one in around:
            if one.where == "after":
                output = on_main(output, self._part(one))
            elif one.where == "recall":
                output = on_main(output, _Recall(one, self._part(one)))
        return output

    def _part(self, one: Insertion) -> nn.Module:
        return self.module.get_submodule(one.name)


class _Watch(TorchFunctionMode):
    """Acts on torch functions that a module calls itself, and not those of its children."""

    def __init__(self, shadow: ShadowForward, insertions: list[Insertion]) -> None:
        super().__init__()
        self._shadow = shadow
        self._by_function: dict[str, list[Insertion]] = {}
        for one in insertions:
            self._by_function.setdefault(one.function, []).append(one)
        self._seen: dict[str, int] = {}
        self._below = 0
        self._hooks: list[Any] = []

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
        self._below += 1

    def _come_up(self, module: nn.Module, args: Any, output: Any) -> None:  # noqa: ARG002
        if module is not self._shadow.module:
            self._below -= 1

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        options: Mapping[str, Any] = kwargs or {}
        raw = getattr(func, "__name__", "")
        wanted = self._by_function.get(clean(raw)) if self._below == 0 and args else None
        if not wanted:
            return func(*args, **options)
        position = self._seen.get(clean(raw), 0)
        self._seen[clean(raw)] = position + 1
        due = [one for one in wanted if one.call in (None, position)]
        if not due:
            return func(*args, **options)
        for one in due:
            one.fired += 1
            if one.where == "remember":
                _put(one, args[0])
            elif one.where == "before":
                args = (self._shadow._part(one)(args[0]), *args[1:])
        replaced = next((one for one in due if one.where == "instead"), None)
        in_place = _is_in_place(raw, args, options)
        if replaced is not None:
            given = args[0].clone() if in_place else args[0]
            output = self._shadow._part(replaced)(given)
            if in_place:
                output = args[0].copy_(output)
        else:
            output = func(*args, **options)
        for one in due:
            if one.where == "after":
                output = on_main(output, self._shadow._part(one))
            elif one.where == "recall":
                output = on_main(output, _Recall(one, self._shadow._part(one)))
        return output


class _Recall:
    """Combines an output with what a relay holds."""

    def __init__(self, one: Insertion, part: nn.Module) -> None:
        self._one, self._part = one, part

    def __call__(self, output: Tensor) -> Tensor:
        relay = self._one.relay
        if relay is None or not relay.held:
            return output
        combined: Tensor = self._part(output, relay.held.pop())
        return combined


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


def _put(one: Insertion, value: Any) -> None:
    if one.relay is not None:
        one.relay.held[:] = [value] if isinstance(value, Tensor) else []


def _first(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    return args[0] if args else next(iter(kwargs.values()))


def _with_first(
    args: tuple[Any, ...], kwargs: dict[str, Any], change: Callable[[Any], Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if args:
        return (change(args[0]), *args[1:]), kwargs
    name = next(iter(kwargs))
    return args, {**kwargs, name: change(kwargs[name])}


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
