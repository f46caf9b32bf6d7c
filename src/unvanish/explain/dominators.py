"""The places that every path from the loss to a site runs through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter


def dominators(target: int, consumers: Mapping[int, Sequence[int]]) -> list[int]:
    """Return the chain from the loss to a target: every path between them meets each of these.

    The chain of immediate dominators of the graph that the gradient runs through, from the
    loss backwards, restricted to what lies between the two.

    Args:
        target: Index of the site that is explained.
        consumers: Site to the sites that use its output; those without entry are the end.

    Returns:
        Site indices, the loss first and the target last; of several ends, the chain begins
        where their paths have come together.

    Source: Cooper, Harvey and Kennedy (2001), for a graph without cycles in one pass.
    """
    reachable = {target}
    stack = [target]
    while stack:
        for consumer in consumers.get(stack.pop(), ()):
            if consumer not in reachable:
                reachable.add(consumer)
                stack.append(consumer)
    above = {site: [c for c in consumers.get(site, ()) if c in reachable] for site in reachable}
    order = list(TopologicalSorter(above).static_order())  # the loss first
    place = {site: position for position, site in enumerate(order)}
    parent: dict[int, int] = {}
    for site in order:
        found: int | None = None
        for consumer in above[site]:
            found = consumer if found is None else _meet(found, consumer, parent, place)
            if found is None:
                break
        if found is not None:
            parent[site] = found
    chain = [target]
    while chain[-1] in parent:
        chain.append(parent[chain[-1]])
    return chain[::-1]


def _meet(a: int, b: int, parent: Mapping[int, int], place: Mapping[int, int]) -> int | None:
    """Return the nearest place that both chains run through; None where there is none."""
    while a != b:
        if place[a] < place[b]:
            a, b = b, a
        if a not in parent:
            return None
        a = parent[a]
    return a
