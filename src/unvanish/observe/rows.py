"""Looking rows up by an index: which calls do it, and what the rows were compared with."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence, Set
from typing import Final

from unvanish.core.operations import VIEW_OPS
from unvanish.observe.lineage import Lineage

CHOOSING: Final = frozenset("argmin argmax min max topk sort argsort".split())
"""Functions that choose rows by an index: the nearest, or the most alike."""
LOOKING_UP: Final = frozenset("embedding getitem gather take_along_dim index_select".split())
PRODUCTS: Final = frozenset("matmul mm bmm einsum linear".split())
"""Functions that look rows up where they are given one-hot vectors."""
ONE_HOT: Final = frozenset({"one_hot", "scatter", "eq"})
MOVES: Final = VIEW_OPS | frozenset("long int ravel t expand_as reshape_as add sub mul".split())
"""Functions that an index stays an index in."""


def are_alike(one: Sequence[int], other: Sequence[int]) -> bool:
    """Tell whether two shapes are the same, but for axes before the last that were joined.

    Args:
        one: A shape.
        other: Another.
    """
    return len(one) > 0 and one[-1:] == other[-1:] and math.prod(one) == math.prod(other)


def used(lineage: Lineage, choosing: Set[int], end: int) -> tuple[set[int], list[int]]:
    """Return the calls that an index passes, and those that look something up with it."""
    indices, hot, rows = set(choosing), set[int](), list[int]()
    for index in range(min(choosing), end + 1):
        call = lineage.calls[index]
        given = indices.intersection(call.parents)
        if not given or index in indices:
            continue
        looks = PRODUCTS if given & hot else LOOKING_UP
        is_alone = given.issuperset(call.parents) and not (call.parameters or call.buffers)
        if call.op in looks and not is_alone:
            rows.append(index)
        elif call.carries:
            continue
        elif call.op in ONE_HOT or (call.op in MOVES and given & hot):
            indices.add(index)
            hot.add(index)
        elif call.op in MOVES:
            indices.add(index)
    return indices, rows


def compared(
    lineage: Lineage,
    above: Set[int],
    rows: Set[int],
    shape: Sequence[int],
    names: Set[str],
    buffers: Set[int],
) -> set[int]:
    """Return the calls that made what rows of a shape, of a table of its own, are compared with."""
    found = set()
    for index in above:
        call = lineage.calls[index]
        if call.carries and call.signal and are_alike(call.shape, shape):
            own, held = leaves(lineage, upstream_of(lineage, {index}, rows))
            if own and names.isdisjoint(own) and buffers.isdisjoint(held):
                found.add(index)
    return found


def upstream_of(lineage: Lineage, start: Iterable[int], rows: Collection[int]) -> set[int]:
    """Return some calls and those their values come from, but not by way of looked-up rows."""
    seen: set[int] = set()
    waiting = list(start)
    while waiting:
        index = waiting.pop()
        if index not in seen and index not in rows:
            seen.add(index)
            waiting.extend(lineage.calls[index].parents)
    return seen


def leaves(lineage: Lineage, calls: Iterable[int]) -> tuple[set[str], set[int]]:
    """Return the names of the parameters, and the buffers, that some calls are given."""
    names, buffers = set[str](), set[int]()
    for index in calls:
        names.update(lineage.calls[index].parameters)
        buffers.update(lineage.calls[index].buffers)
    return names, buffers
