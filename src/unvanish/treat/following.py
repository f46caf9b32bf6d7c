"""Which module's forward runs, and which call of a function in it a call is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

from torch import nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.overrides import TorchFunctionMode


@dataclass(slots=True)
class Running:
    """A module of the network whose forward runs.

    Attributes:
        module: The module.
        path: Its path.
        seen: Name of a function to how often that forward has called it.
    """

    module: nn.Module
    path: str
    seen: dict[str, int] = field(default_factory=dict)


class Following(TorchFunctionMode):
    """Follows a forward pass into the modules of a network, as an interception meets its calls.

    One that is made on the spot is none of the network's: what it calls, the module around it
    calls.

    Args:
        model: The network.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._paths = {id(module): path for path, module in model.named_modules()}
        self._running: list[Running] = []
        self._hooks: list[Any] = []

    def __enter__(self) -> Self:
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

    @property
    def _path(self) -> str:
        """Path of the innermost module."""
        return self._running[-1].path if self._running else ""

    def _count(self, name: str) -> int:
        """Return which call of a function in the innermost forward this is, from 0."""
        if not self._running:
            return 0
        seen = self._running[-1].seen
        number = seen.get(name, 0)
        seen[name] = number + 1
        return number

    def _begin(self, running: Running) -> None:
        """Take note of a module whose forward begins."""

    def _end(self, running: Running, output: Any) -> None:
        """Take note of a module whose forward ends."""

    def _go_down(self, module: nn.Module, args: Any) -> None:  # noqa: ARG002
        path = self._paths.get(id(module))
        if path is not None:
            self._running.append(Running(module, path))
            self._begin(self._running[-1])

    def _come_up(self, module: nn.Module, args: Any, output: Any) -> None:  # noqa: ARG002
        if id(module) not in self._paths:
            return
        while self._running and self._running[-1].module is not module:
            self._running.pop()
        if self._running:
            self._end(self._running.pop(), output)
