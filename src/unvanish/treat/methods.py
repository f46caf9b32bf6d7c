"""A treated module's other methods: called from outside, they do what they do in its forward.

A metric, a sampler or a service calls ``model.encode(x)`` or ``model.u(x)`` without going through
the forward. What was inserted there is met at the same lines of code as in the forward, and at no
others: a method that no forward passes is left as it is.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

from torch import nn

from unvanish.treat.insertions import Insertion

Line = tuple[str, int, int]
"""A call in a user's source: file, first line of the function around it, instruction in it."""

_BETWEEN: Final = re.compile(r"(torch|unvanish\.treat)(\.|$)")
"""Modules whose frames stand between a line of the user's and a torch function's mode."""
_OF_LIBRARIES: Final = frozenset({"torch", "lightning", "pytorch_lightning", "transformers"})
"""Packages whose own methods are left alone: they call the network, or nothing of it."""


class Memory:
    """What was done at which line of a module's forward, call by call.

    It is what direct calls of methods go by: the order of calls tells nothing there.
    """

    __slots__ = ("_done",)

    def __init__(self) -> None:
        self._done: dict[Line, dict[int, list[Insertion]]] = {}

    def keep(self, line: Line, turn: int, due: list[Insertion]) -> None:
        """Take note of one call in a forward.

        Args:
            line: Where it stands.
            turn: How often the line was passed before in this forward.
            due: What was done around it.
        """
        self._done.setdefault(line, {})[turn] = due

    def due(self, line: Line, turn: int) -> list[Insertion]:
        """Return what is to be done around a call outside of a forward.

        Args:
            line: Where it stands.
            turn: How often the line was passed before in this call of the method.
        """
        turns = self._done.get(line, {})
        if turn in turns:
            return turns[turn]
        first, *others = turns.values() or ([],)
        return first if all(one == first for one in others) else []


class Shade(Protocol):
    """What runs a module's forward with insertions."""

    module: nn.Module

    @property
    def depth(self) -> int:
        """How many runs of the forward, or of a method by itself, are under way in this thread."""
        ...

    def outside(self) -> AbstractContextManager[None]:
        """Let what was inserted act on the calls of a method."""
        ...


class ShadowMethod:
    """Stands before a method of a treated module, as an attribute of the instance.

    Args:
        shade: What runs the module's forward.
        name: Name of the method.
    """

    def __init__(self, shade: Shade, name: str) -> None:
        self._shade, self._name = shade, name

    @property
    def _own(self) -> Callable[..., Any]:
        module = self._shade.module
        method: Callable[..., Any] = getattr(type(module), self._name).__get__(module)
        return method

    @property
    def __signature__(self) -> inspect.Signature:
        """What the method takes."""
        return inspect.signature(self._own)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the method, with what was inserted where no forward around it sees to that."""
        if self._shade.depth:
            return self._own(*args, **kwargs)
        with self._shade.outside():
            return self._own(*args, **kwargs)


def methods_of(module: nn.Module) -> Iterator[str]:
    """Return the names of a module's own methods besides its forward.

    Args:
        module: A module of any class.

    Yields:
        Names of plain methods of the classes before the first one of a library.
    """
    known = {"forward"}
    for kind in type(module).__mro__:
        if kind.__module__.partition(".")[0] in _OF_LIBRARIES:
            return
        for name, member in vars(kind).items():
            is_plain = inspect.isfunction(member) and not name.startswith("__")
            if is_plain and name not in known and name not in vars(module):
                known.add(name)
                yield name


def cover(shade: Shade) -> bool:
    """Put a shadow before every method of a module, and tell whether it has any.

    Args:
        shade: What runs the module's forward.
    """
    names = list(methods_of(shade.module))
    for name in names:
        object.__setattr__(shade.module, name, ShadowMethod(shade, name))
    return bool(names)


def uncover(module: nn.Module) -> None:
    """Take these shadows away again.

    Args:
        module: A module of any class.
    """
    for name in [n for n, value in vars(module).items() if isinstance(value, ShadowMethod)]:
        del module.__dict__[name]


def line_of_call() -> Line:
    """Return where the torch function that a mode is being asked about is called."""
    frame = sys._getframe(1)
    while frame.f_back is not None and _BETWEEN.match(frame.f_globals.get("__name__", "")):
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_code.co_firstlineno, frame.f_lasti
