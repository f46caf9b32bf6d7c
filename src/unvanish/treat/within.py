"""Acts on the torch functions that one module's forward calls, and not those of its children."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from threading import get_ident
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.overrides import TorchFunctionMode

from unvanish.core.errors import UnvanishError
from unvanish.core.operations import clean
from unvanish.treat.insertions import (
    FIRST,
    Insertion,
    call_with,
    is_due,
    is_in_place,
    name_of,
    on_main,
    place_of,
    with_nth,
)
from unvanish.treat.methods import Line, Memory, line_of_call
from unvanish.treat.turns import CheckpointGuard


class Shadow(Protocol):
    """What runs a module's forward with insertions.

    Attributes:
        module: The module.
        memory: What was done at which line of its forward, where that is of use.
    """

    module: nn.Module
    memory: Memory | None

    @property
    def depth(self) -> int:
        """How many runs of the forward, or of a method by itself, are under way in this thread."""
        ...

    def part(self, one: Insertion) -> nn.Module:
        """Return the submodule that does what an insertion says."""
        ...

    def put(self, one: Insertion, value: Any) -> None:
        """Put a tensor into the relay of an insertion."""
        ...


class Watch(TorchFunctionMode):
    """Acts on torch functions that a module calls itself, and not those of its children.

    Args:
        shadow: What runs the module's forward.
        insertions: What is to be done.
        is_forward: Whether the module's forward is run, in which calls are counted; else a method
            of it by itself, which goes by what was done at the same lines of a forward.
    """

    def __init__(
        self, shadow: Shadow, insertions: list[Insertion], *, is_forward: bool = True
    ) -> None:
        super().__init__()
        self._shadow, self._is_forward = shadow, is_forward
        self._by_function: dict[str, dict[int | None, list[Insertion]]] = {}
        for one in insertions:
            self._by_function.setdefault(one.function, {}).setdefault(one.call, []).append(one)
        self._passed: dict[Line, int] = {}
        self._seen: dict[str, int] = {}
        self._below = 0
        self._hooks: list[Any] = []
        self._thread = get_ident()
        self._children = {id(part) for part in shadow.module.modules()}
        self._guard = CheckpointGuard()

    def __enter__(self) -> Watch:
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
        named = next((one for one in FIRST if one in options), "") if wanted and not args else ""
        if named:
            options = dict(options)
            args = (options.pop(named),)
        if not wanted or not args:
            return func(*args, **options)
        due = self._due(clean(raw), wanted)
        if not due:
            return func(*args, **options)
        self._guard.refuse(type(self._shadow.module).__name__)
        for one in due:
            one.fired += 1
            if one.where == "remember":
                self._shadow.put(one, args[0])
            elif one.where == "before":
                place = place_of(raw, one.argument)
                args, options = with_nth(args, options, place, self._shadow.part(one))
        replaced = next((one for one in due if one.where == "instead"), None)
        changed = any(one.where in ("instead", "after", "through", "recall") for one in due)
        in_place = changed and is_in_place(raw, args, options)
        target = args[0]
        if in_place:
            args = (target.clone(), *args[1:])
        if replaced is not None:
            output = self._shadow.part(replaced)(args[0])
        else:
            output = func(*args, **options)
        for one in due:
            if one.where == "after":
                output = on_main(output, self._shadow.part(one), one.element)
            elif one.where == "through":
                output = on_main(output, partial(call_with, self._shadow.part(one), target))
            elif one.where == "recall":
                output = on_main(output, Recall(one, self._shadow))
        return target.copy_(output) if in_place else output

    def _due(self, name: str, wanted: Mapping[int | None, list[Insertion]]) -> list[Insertion]:
        """Return what is to be done around a call, and remember it by the line of the call."""
        memory = self._shadow.memory
        line, turn = ("", 0, 0), 0
        if memory is not None:
            line = line_of_call()
            turn = self._passed.get(line, 0)
            self._passed[line] = turn + 1
        if not self._is_forward:
            is_outermost = memory is not None and self._shadow.depth == 1
            return memory.due(line, turn) if memory is not None and is_outermost else []
        position = self._seen.get(name, 0)
        self._seen[name] = position + 1
        due = [one for one in (*wanted.get(None, ()), *wanted.get(position, ())) if is_due(one)]
        if memory is not None:
            memory.keep(line, turn, due)
        return due


class Recall:
    """Combines an output with what a relay carries."""

    def __init__(self, one: Insertion, shadow: Shadow) -> None:
        self._one, self._shadow = one, shadow

    def __call__(self, output: Tensor) -> Tensor:
        """Return the combination; the output as it is where nothing is carried."""
        relay = self._one.relay
        carried = relay.take() if relay is not None else None
        if relay is None or carried is None:
            if relay is not None and not relay.is_open and not self._one.shared:
                _refuse_half_recomputed(self._shadow.module)
            return output
        part = self._shadow.part(self._one) if self._one.name else carried.part
        if part is None:
            return output
        combined: Tensor = part(output, carried.value)
        return combined


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
