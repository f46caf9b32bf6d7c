"""Where a forward cuts the gradient: `detach`, `.data`, `no_grad`, `item`, as they are met.

A recording names the line of a cut. To pass a gradient on there one must also know which call in
which module's forward it is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor, nn

from unvanish.core.operations import clean
from unvanish.core.places import SourceLine
from unvanish.core.stack import Owner, owner_of, user_line
from unvanish.observe.batch import Batch, call_model
from unvanish.observe.draws import is_a_draw
from unvanish.observe.guard import untouched
from unvanish.treat.differentiating import GRAD
from unvanish.treat.following import Following
from unvanish.treat.interception import name_of
from unvanish.treat.turns import Turns

SWITCH: Final = "set_grad_enabled"
"""What `torch.no_grad` calls when it begins and when it ends."""

NUMBERS: Final = frozenset({"item", "tolist"})
"""What makes Python numbers of a tensor."""

MAKERS: Final = frozenset({"tensor", "as_tensor"})
"""What makes a tensor of Python numbers again."""

NORMAL: Final = "normal"
"""What draws, of a mean and a standard deviation, and gives both of them no gradient."""

_WATCHED: Final = frozenset({"detach", "data", SWITCH, NORMAL, GRAD}) | NUMBERS | MAKERS


@dataclass(slots=True)
class Met:
    """One call that cuts the gradient, as an interception meets it.

    Attributes:
        function: ``"detach"``, ``"data"``, ``"item"``, ``"tolist"``, ``"normal"``, ``"grad"`` or
            ``"set_grad_enabled"``; ``"tensor"`` or ``"as_tensor"``, to which numbers come back.
        path: Path of the module in whose forward it is called.
        number: Which call of the function in that forward it is.
        lines: The user's line, as file and number; empty where there is none.
        under: Path and operation of everything that ran under it, for a `no_grad`.
        draws: Whether a distribution calls it to draw.
    """

    function: str
    path: str
    number: int
    lines: tuple[tuple[str, int], ...]
    under: set[tuple[str, str]] = field(default_factory=set)
    draws: bool = False


def met(model: nn.Module, batch: Batch) -> list[Met]:
    """Run a network once, leave it as it was, and return the calls that cut the gradient.

    Args:
        model: The network.
        batch: What it is run on.
    """
    with untouched(model, seed=0), torch.enable_grad():
        watch = _Watch(model)
        with watch:
            call_model(model, batch.inputs)
    return watch.met


class _Watch(Following):
    """Writes down the calls that cut, and what runs under them."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.met: list[Met] = []
        self._open: list[Met] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        name = clean(name_of(func))
        if self._running and (args or (name == NORMAL and "mean" in (kwargs or {}))):
            if name in _WATCHED:
                number = self._count(name)
                if name != GRAD or _is_lost(args, kwargs or {}):
                    self._note(name, self._path, number, args)
            for one in self._open:
                one.under.add((self._path, name))
        return func(*args, **(kwargs or {}))

    def _note(self, name: str, path: str, number: int, args: tuple[Any, ...]) -> None:
        if name == SWITCH and args[0]:
            self._open.clear()
            return
        draws = name in (SWITCH, NORMAL) and is_a_draw(sys._getframe(1))
        if name == SWITCH and not (torch.is_grad_enabled() or draws):
            return
        line = user_line(sys._getframe(1))
        one = Met(name, path, number, () if line is None else ((line.file, line.line),))
        one.draws = draws
        self.met.append(one)
        if name == SWITCH:
            self._open.append(one)


def _is_lost(args: tuple[Any, ...], options: Mapping[str, Any]) -> bool:
    """Tell whether `torch.autograd.grad` is called so that what it gives carries no gradient."""
    return len(args) > 1 and not options.get("create_graph")


def stands_at(one: Met, source: SourceLine | None) -> bool:
    """Tell whether a call stands in a line of the user's."""
    return source is not None and (source.file, source.line) in one.lines


class AtLines(Turns):
    """Tells the calls of one function in a forward apart by the user's line that makes them.

    However often a loop runs, its line is the same, in a checkpoint that runs it again as well.

    Args:
        lines: The lines that are meant, as file and number; relative to the working directory.
    """

    __slots__ = ("_lines",)

    def __init__(self, lines: Iterable[tuple[str, int]]) -> None:
        super().__init__((), 0)
        here = os.getcwd()  # noqa: PTH109 (joined as `display_path` takes it off)
        self._lines = frozenset(
            (where, number)
            for file, number in lines
            for where in (file, os.path.join(here, file))  # noqa: PTH118 (a file may be no path)
        )

    def is_meant(self) -> bool:
        """Tell whether the call that a mode is being asked about stands in one of the lines."""
        return not self._lines.isdisjoint(_lines_of_call())


def _lines_of_call() -> Iterator[tuple[str, int]]:
    """Yield the innermost line of a library that the user calls, if any, and the user's own.

    `user_line` ends at our own code, and while a treated network runs some of that stands between
    a library's module and the user's line that calls it.
    """
    frame = sys._getframe(1)
    is_within = False
    while frame is not None:
        owner = owner_of(frame.f_code.co_filename)
        if owner is Owner.USER or (owner is Owner.LIBRARY and not is_within):
            yield frame.f_code.co_filename, frame.f_lineno
        if owner is Owner.USER:
            return
        is_within = is_within or owner is Owner.LIBRARY
        frame = frame.f_back  # type: ignore[assignment]


class PassOn(nn.Module):
    """What is given, with its gradient."""

    def forward(self, signal: Tensor) -> Tensor:
        """Return the input."""
        return signal


class Number(nn.Module):
    """A tensor of one entry in the place of the number that it holds."""

    def forward(self, signal: Tensor) -> Any:
        """Return the entry, with its gradient where it has one."""
        return signal.reshape(()) if signal.requires_grad else signal.item()


class Numbers(nn.Module):
    """Nested lists of tensors of one entry in the place of the numbers of a tensor."""

    def forward(self, signal: Tensor) -> Any:
        """Return the entries, with their gradients where they have any."""
        return _listed(signal) if signal.requires_grad else signal.tolist()


def _listed(signal: Tensor) -> Any:
    return [_listed(row) for row in signal.unbind()] if signal.ndim else signal


@dataclass(slots=True)
class Given:
    """What a tensor is made of, between the two ends of the call that makes it."""

    entries: Any = None


class Unstacked(nn.Module):
    """Plain numbers in the place of nested lists that hold tensors with a gradient.

    Args:
        given: Keeps the lists for `Stacked`.
    """

    def __init__(self, given: Given) -> None:
        super().__init__()
        self.given = given

    def forward(self, entries: Any) -> Any:
        """Return the numbers; a tensor as it is."""
        self.given.entries = None
        if isinstance(entries, Tensor) or not _holds_gradient(entries):
            return entries
        self.given.entries = entries
        return _plain(entries)


class Stacked(nn.Module):
    """A tensor of the entries that were kept, with their gradients.

    Args:
        given: Where `Unstacked` keeps them.
    """

    def __init__(self, given: Given) -> None:
        super().__init__()
        self.given = given

    def forward(self, output: Tensor) -> Tensor:
        """Return the output, made of the entries themselves where they were kept."""
        entries, self.given.entries = self.given.entries, None
        return (
            output
            if entries is None or not output.is_floating_point()
            else _stacked(entries, output)
        )


def _plain(given: Any) -> Any:
    if isinstance(given, list | tuple):
        return [_plain(one) for one in given]
    return given.tolist() if isinstance(given, Tensor) else given


def _holds_gradient(given: Any) -> bool:
    if isinstance(given, list | tuple):
        return any(_holds_gradient(one) for one in given)
    return isinstance(given, Tensor) and given.requires_grad


def _stacked(given: Any, like: Tensor) -> Tensor:
    if isinstance(given, list | tuple):
        return torch.stack([_stacked(one, like) for one in given])
    return given.to(like) if isinstance(given, Tensor) else like.new_tensor(given)


class KeepGradient(nn.Module):
    """Stands in the place of the switch that `torch.no_grad` turns: it is never turned off."""

    def forward(self, enabled: bool) -> None:
        """Turn gradients on where that is what is asked for."""
        if enabled:
            torch.set_grad_enabled(True)
