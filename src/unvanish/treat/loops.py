"""The steps that a loop over time runs: the same weights, again and again, fed with new signal."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Final

from unvanish.core.records import Site
from unvanish.core.wiring import Wiring
from unvanish.treat.anatomy import activation_name

_PAIRS: Final = 4
"""How many pairs of calls with the same weights are looked at."""


def in_time_loops(wiring: Wiring, sites: Sequence[Site]) -> frozenset[int]:
    """Return those of some steps that a loop over time runs, by index.

    A layer that is used again and again on its own output alone is a deep network with shared
    weights, and no loop over time; two calls of one layer on different inputs are none either.

    Args:
        wiring: The network.
        sites: Its functions, or its layers.
    """
    found: set[int] = set()
    groups: dict[tuple[str, str], list[Site]] = {}
    for site in sites:
        groups.setdefault((site.path, site.op), []).append(site)
    for calls in groups.values():
        if len(calls) < 2:
            continue
        layers = {site.index: _layers_of(wiring, site) for site in calls}
        for same in _sharing(calls, layers):
            pairs = itertools.pairwise(same[: _PAIRS + 1])
            if any(_is_next_step(wiring, first, second) for first, second in pairs):
                found.update(site.index for site in same)
    return frozenset(found)


def depends(wiring: Wiring, later: Site, earlier: Site) -> bool:
    """Tell whether a step is computed from another one.

    Args:
        wiring: The network.
        later: The one.
        earlier: The other.
    """
    return any(one.index == earlier.index for one in wiring.behind(later))


def _is_next_step(wiring: Wiring, first: Site, second: Site) -> bool:
    """Tell whether a call works on another one's result and on signal that is new since."""
    before = {first.index, *(one.index for one in wiring.behind(first))}
    if not depends(wiring, second, first):
        return False
    reached = {first.index, *_reached(wiring, first)}
    between = wiring.behind(second, past=first)
    return any(one.index not in before and one.index not in reached for one in between)


def _sharing(sites: list[Site], layers: dict[int, frozenset[str]]) -> list[list[Site]]:
    """Sort calls by the weights that feed them; one that two groups share joins both."""
    groups: list[tuple[set[str], list[Site]]] = []
    for site in sites:
        own = layers[site.index]
        for names, members in groups:
            if names & own:
                names |= own
                members.append(site)
                break
        else:
            groups.append((set(own), [site]))
    return [members for _, members in groups if len(members) > 1]


def _layers_of(wiring: Wiring, site: Site) -> frozenset[str]:
    """Return a layer's weights, or those of the layers right before a function, on every way."""
    if site.weights:
        return frozenset(site.weights)
    names: set[str] = set()
    level, seen = [site], {site.index}
    while level:
        before = {p.index: p for one in level for p in wiring.producers(one)}
        new = [before[index] for index in before.keys() - seen]
        seen |= before.keys()
        names.update(name for one in new for name in one.weights)
        level = [one for one in new if not one.weights and not activation_name(one)]
    return frozenset(names)


def _reached(wiring: Wiring, site: Site) -> Iterator[int]:
    level, seen = [site], {site.index}
    while level:
        after = {c.index: c for one in level for c in wiring.consumers(one)}
        level = [after[index] for index in after.keys() - seen]
        seen |= after.keys()
        yield from (one.index for one in level)
