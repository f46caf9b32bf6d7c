"""Losses whose gradient does not depend on the target, although their value does.

A loss may compare the target with ranks, with a class that was chosen, or with a copy
without gradient, and keep a gradient all the same: that of a penalty beside it. What is
added to a value leaves its gradient as it is, so a target that is only ever added to what
carries the gradient has no say in it.
"""

from __future__ import annotations

from typing import Final

from unvanish.core.operations import VIEW_OPS
from unvanish.observe.lineage import Lineage

_SUMS: Final = VIEW_OPS | frozenset(
    "add sub rsub neg sum mean nanmean nansum stack cat concat squeeze".split()
)
_SCALES: Final = frozenset("mul div true_divide".split())


def blinding_cuts(lineage: Lineage, end: int) -> frozenset[int]:
    """Return the calls that keep all the gradient of a loss from the target.

    Args:
        lineage: The calls of a forward pass and its loss.
        end: The call that made the loss.

    Returns:
        The cuts in front of the places where the target meets an answer without a gradient;
        none where some of the gradient depends on the target, or there is no target.
    """
    if not lineage.targets:
        return frozenset()
    upstream = lineage.upstream([end])
    alive = with_a_way_back(lineage, end)
    touched: set[int] = set()
    meetings: set[int] = set()
    for index in sorted(upstream):
        call = lineage.calls[index]
        if lineage.targets.isdisjoint(call.pieces) and touched.isdisjoint(call.parents):
            continue
        touched.add(index)
        if call.bridged:
            return frozenset()  # a function with a backward pass of its own
        if index in alive:
            givers = len(call.parents) + len(call.parameters)
            if call.op not in _SUMS and not (call.op in _SCALES and givers == 1):
                return frozenset()
        elif call.learned or call.cuts:
            meetings.add(index)
    if not meetings:
        return frozenset()
    before = lineage.upstream(meetings)
    return frozenset(index for index in before if lineage.calls[index].cuts)


def with_a_way_back(lineage: Lineage, end: int) -> set[int]:
    """Return the calls to which the gradient of a loss leads back.

    Args:
        lineage: The calls of a forward pass and its loss.
        end: The call that made the loss.
    """
    alive: set[int] = set()
    waiting = [end]
    while waiting:
        index = waiting.pop()
        if index not in alive and lineage.calls[index].carries:
            alive.add(index)
            waiting.extend(lineage.calls[index].parents)
    return alive
