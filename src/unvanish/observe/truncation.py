"""Loops over time whose state passes on from call to call, and whose gradient never does.

Autograd shows no recurrence where the state is detached at every step. Lineage follows the
values, and so sees both: that each call depends on the one before, and that no gradient leads
back there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Final

from unvanish.core.incidents import Truncation
from unvanish.core.operations import RECURRENT_FUNCTIONS
from unvanish.observe.lineage import Call, maker_of_piece
from unvanish.observe.look import Look
from unvanish.observe.recurrence import FEWEST_CALLS, SELECTING, recurrences

_MOST_LOOPS: Final = 16


def truncations(look: Look) -> tuple[Truncation, ...]:
    """Return every loop whose state comes to each call without its gradient.

    A loop whose gradient passes on here and there (chunks of truncated backpropagation), or by
    another way (a cell state beside a detached output), is none. Nor is one that turns the
    same input over (an equilibrium model), nor calls of PyTorch's own recurrences, a chunk of the
    sequence each, that all get gradient from the loss.

    Args:
        look: What was seen.
    """
    lineage, graph = look.tape.lineage, look.graph
    calls, end = lineage.calls, lineage.maker(look.loss)
    if end is None or sum(call.cuts for call in calls) < FEWEST_CALLS - 1:
        return ()
    known = recurrences(graph)
    connected = {name for one in known for name in graph.sites[one.calls[0]].weights}
    reached: set[int] | None = None
    found = []
    for turns in list(_repeated(calls, connected))[:_MOST_LOOPS]:
        loop = _Loop.of(calls, turns)
        if loop is None or (cut := loop.cut) is None or not loop.is_fed():
            continue
        if reached is None:
            reached = _with_gradient(calls, end)
        first, trained = calls[turns[0]], sum(turn in reached for turn in turns)
        if first.op in RECURRENT_FUNCTIONS and 2 * trained >= len(turns):
            continue
        found.append(
            Truncation(
                op=first.op,
                path=first.path,
                cut=cut.op,
                source=cut.source,
                parameters=first.parameters,
                steps=len(turns),
                trained_steps=trained,
            )
        )
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Loop:
    """Calls of the same weights, each of which depends on the one before by value alone.

    Attributes:
        calls: All calls of the forward pass.
        turns: Indices of those that use the weights, in time order.
        after: For every call up to the last turn, the number of the last turn that its value
            comes from; -1 for none.
    """

    calls: Sequence[Call]
    turns: Sequence[int]
    after: Sequence[int]

    @classmethod
    def of(cls, calls: Sequence[Call], turns: Sequence[int]) -> _Loop | None:
        """Follow values and gradients from turn to turn; None where any gradient passes."""
        after: list[int] = []
        oldest: list[float] = []  # the earliest turn after which its gradient leads back
        turn = 0
        for index in range(turns[-1] + 1):
            call = calls[index]
            last = max((after[parent] for parent in call.parents), default=-1)
            back = min((oldest[parent] for parent in call.parents), default=math.inf)
            if index == turns[turn]:
                if turn and (last != turn - 1 or back < turn - 1):
                    return None
                back = turn - 1  # a way back to a turn is a way back to before it
                last = turn
                turn += 1
            elif last >= 0:
                back = min(back, last)
            after.append(last)
            if call.bridged:
                back = -1 if last >= 0 else math.inf
            oldest.append(back if call.carries or call.bridged else math.inf)
        return cls(calls, turns, after)

    @property
    def cut(self) -> Call | None:
        """The last call between the last two turns that lets no gradient back."""
        end = len(self.turns) - 2
        between = range(self.turns[-1] - 1, self.turns[-2], -1)
        cuts = (self.calls[i] for i in between if self.after[i] == end and self.calls[i].cuts)
        return next(cuts, None)

    def is_fed(self) -> bool:
        """Tell whether most turns bring input that no earlier turn brought."""
        seen: set[int] = set()
        pieces: set[int] = set()
        fed = 0
        for turn in self.turns:
            before = len(pieces)
            pieces |= self._brought(turn, seen)
            fed += len(pieces) > before
        return 2 * (fed - 1) >= len(self.turns) - 1

    def _brought(self, turn: int, seen: set[int]) -> set[int]:
        """Collect the pieces of data behind a turn, down to where they were cut out of something.

        Args:
            turn: The call.
            seen: Calls that were looked at for an earlier turn; more are added.
        """
        pieces: set[int] = set()
        stack = [turn]
        while stack:
            index = stack.pop()
            if index in seen:
                continue
            seen.add(index)
            for piece in self.calls[index].pieces:
                maker = maker_of_piece(piece)
                if maker is None or self._is_selected(maker):
                    pieces.add(piece)
            stack.extend(p for p in self.calls[index].parents if not self._is_selected(p))
        return pieces

    def _is_selected(self, index: int) -> bool:
        """Tell whether a call cuts a piece out of what no turn has touched."""
        return self.after[index] < 0 and self.calls[index].op in SELECTING


def _repeated(calls: Sequence[Call], connected: Set[str]) -> Iterator[list[int]]:
    """Yield the calls of the same weights that were made often enough to be a loop."""
    groups: dict[tuple[str, str, tuple[str, ...]], list[int]] = {}
    for index, call in enumerate(calls):
        if not (call.signal and call.carries):
            continue
        names = {*call.parameters}
        for parent in call.parents:
            if not calls[parent].signal:
                names.update(calls[parent].parameters)
        if names and (connected.isdisjoint(names) or call.op in RECURRENT_FUNCTIONS):
            groups.setdefault((call.path, call.op, tuple(sorted(names))), []).append(index)
    return (turns for turns in groups.values() if len(turns) >= FEWEST_CALLS)


def _with_gradient(calls: Sequence[Call], end: int) -> set[int]:
    """Return the calls that the gradient of the loss reaches.

    Inside a function with a backward pass of its own nothing carries a gradient, and yet it
    gets back to whatever went in.
    """
    reached: set[int] = set()
    stack = [(end, False)]
    while stack:
        index, inside = stack.pop()
        call = calls[index]
        inside = not call.carries and not call.cuts and (inside or call.bridged)
        if index not in reached and (call.carries or inside):
            reached.add(index)
            stack.extend((parent, inside) for parent in call.parents)
    return reached
