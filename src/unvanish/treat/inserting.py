"""Modules before, behind and in the place of calls, and connections between two of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from unvanish.core.places import SourceLine
from unvanish.treat.books import Books
from unvanish.treat.interception import Insertion, free_name, is_shadowed, shadow, unshadow
from unvanish.treat.relay import Relay
from unvanish.treat.turns import Turns


class CallSurgery(Books):
    """Changes what the calls of a network compute."""

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> None:
        super().__init__(model, optimizer)
        self._insertions: list[tuple[str, Insertion]] = []
        self._relayed: dict[int, tuple[Relay, set[tuple[object, ...]]]] = {}

    def insert(
        self,
        path: str,
        part: nn.Module | None,
        where: str,
        *,
        function: str = "",
        call: int | None = None,
        relay: Relay | None = None,
        shared: bool = False,
        passes: int = 0,
        argument: int = 0,
        element: int = 0,
        turns: Turns | None = None,
        like: Sequence[str] = (),
        stem: str = "",
        before: str = "",
        after: str = "",
        source: SourceLine | None = None,
    ) -> str:
        """Put a module before, behind or in the place of a call.

        Args:
            path: Path of the module that is called, or in whose forward the function is called.
            part: What computes; registered as a child of that module under a free name. None to
                remember only.
            where: ``"before"``, ``"after"``, ``"instead"``, ``"through"``, ``"remember"``,
                ``"recall"`` or ``"scope"``; see `unvanish.treat.interception.Insertion`.
            function: The function in that module's own forward; empty for the module's call.
            call: Which call of it, from 0; None for every one.
            relay: What a connection is carried by.
            shared: Whether a recall is also passed where nothing is carried.
            passes: Ends that what is remembered passes before it is recalled.
            argument: Which argument of the function is changed before it, from 0.
            element: Which of the tensors that a call returns is changed after it, from 0.
            turns: Which calls in a forward pass of the whole network are meant.
            like: Names of the parameters whose group of the optimiser new ones join; those of the
                module by default.
            stem: Name of the child; the class name in lower case by default.
            before: What stood there, for the books; nothing is written where both are empty.
            after: What stands there now.
            source: The user's line.

        Returns:
            The child's name.
        """
        module = self.model.get_submodule(path) if path else self.model
        name = ""
        if part is not None:
            name = free_name(module, stem or type(part).__name__.lower())
            self._fit(part, module)
            part.train(module.training)
            module.add_module(name, part)
            new = list(part.parameters())
            if new and self.optimizer is not None:
                self._join_optimizer(new, like=self._named(like) or list(module.parameters()))
        was = is_shadowed(module)
        one = Insertion(
            name=name,
            where=where,
            function=function,
            call=call,
            relay=relay,
            shared=shared,
            passes=passes,
            argument=argument,
            element=element,
            turns=turns,
        )
        shade = shadow(module)
        shade.insertions.append(one)
        shade.fit_methods()
        self._insertions.append((path, one))
        self._leave_fast_path(path)

        def undo() -> None:
            place = len(shade.insertions) - 1
            while shade.insertions[place] is not one:
                place -= 1
            del shade.insertions[place]
            shade.fit_methods()
            if name:
                del module._modules[name]
            if not was:
                unshadow(module)

        self._undo.append(undo)
        if before or after:
            self._note(path, before, after, source)
        return name

    def connect(
        self,
        start: tuple[str, str, int | None],
        end: tuple[str, str, int | None],
        combine: nn.Module,
        *,
        after: str,
        stem: str = "",
        relay: Relay | None = None,
        passes: int = 0,
        around: str | None = None,
        source: SourceLine | None = None,
    ) -> None:
        """Lead the first argument of one call to the output of a later one.

        Args:
            start: Path, function (empty for the module's call) and call of where it begins.
            end: The same of where it ends.
            combine: Called with (output, remembered); registered where the connection ends, or
                where it begins if the end is shared.
            after: What the connection is, for the books.
            stem: Name of the child; the class name in lower case by default.
            relay: What connections with one shared end are all carried by; None where nothing
                else ends there. The end is then passed without a connection, too.
            passes: Calls of the end that come before the one that is meant.
            around: Path of the module whose call bounds the life of what is carried; the innermost
                around both ends by default.
            source: The user's line.
        """
        shared = relay is not None
        relay = relay or Relay()
        if around is None:
            around = common_path(start[0], end[0])
        if self._is_new(relay, around, "scope"):
            self.insert(around, None, "scope", relay=relay)
        self.insert(
            start[0],
            combine if shared else None,
            "remember",
            function=start[1],
            call=start[2],
            relay=relay,
            passes=passes,
            stem=stem,
        )
        if self._is_new(relay, *end, "recall"):
            self.insert(
                end[0],
                None if shared else combine,
                "recall",
                function=end[1],
                call=end[2],
                relay=relay,
                stem=stem,
                shared=shared,
            )
        self._note(start[0], "no connection", after, source)

    def _is_new(self, relay: Relay, *place: object) -> bool:
        """Tell whether a relay has nothing at a place yet, and take note of it."""
        known = self._relayed.setdefault(id(relay), (relay, set()))[1]
        if place in known:
            return False
        known.add(place)
        return True

    def unused(self) -> list[str]:
        """Name the places whose call was never met since the operation began."""
        return [
            f"{path or type(self.model).__name__} {one.function}".strip()
            for path, one in self._insertions
            if not one.fired
        ]

    def undo(self) -> None:
        """Put everything back, last change first."""
        super().undo()
        self._insertions.clear()
        self._relayed.clear()


def common_path(one: str, other: str) -> str:
    """Return the path of the innermost module around two.

    Args:
        one: Path of a module.
        other: Path of another.
    """
    shared = []
    for a, b in zip(one.split("."), other.split("."), strict=False):
        if a != b:
            break
        shared.append(a)
    return ".".join(shared)
