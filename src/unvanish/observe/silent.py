"""Silent units over all calls of one layer, and the share that chance leaves silent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from torch import Tensor

from unvanish.observe.graph import Graph
from unvanish.theory.dead_units import expected_dead_fraction, independent_samples

_MOST_NODES: Final = 200

UnitsKey = tuple[str, tuple[str, ...], tuple[int, ...], int]


def join_calls(graph: Graph, alive: Mapping[int, Tensor]) -> list[list[int]]:
    """Group the activations that hold the same units: one layer that is called again.

    A unit that is silent in one call and alive in another still learns. Two activations of
    one call hold other units, such as two halves of a layer, and are kept apart.

    Args:
        graph: The computation.
        alive: Site of an activation to which of its units some sample reaches.

    Returns:
        Groups of sites, in forward order; most hold a single one.
    """
    groups: dict[UnitsKey | int, list[int]] = {}
    taken: dict[tuple[int, ...], int] = {}
    for i in sorted(alive):
        layers = _layers_behind(graph, i)
        nth = taken.get(layers, 0)
        taken[layers] = nth + 1
        weights = {name for layer in layers for name in graph.sites[layer].weights}
        key = (graph.sites[i].op, tuple(sorted(weights)), tuple(alive[i].shape), nth)
        groups.setdefault(key if weights else i, []).append(i)
    return list(groups.values())


def dead_fractions(
    groups: Sequence[Sequence[int]], alive: Mapping[int, Tensor]
) -> dict[int, float]:
    """Return the share of units that are silent in every call, at each of the calls."""
    dead: dict[int, float] = {}
    for group in groups:
        joint = alive[group[0]]
        for i in group[1:]:
            joint = joint | alive[i]
        dead.update(dict.fromkeys(group, 1.0 - float(joint.double().mean())))
    return dead


def expected_fractions(
    groups: Sequence[Sequence[int]],
    likeness: Mapping[int, tuple[float, float]],
    samples: int,
    compared: int,
) -> dict[int, float]:
    """Return the share of units that chance leaves silent in every call.

    Args:
        groups: From `join_calls`.
        likeness: Site to the mean cosine of the samples there and the number of directions
            they differ in; where it is missing they may all look alike.
        samples: How many samples there were.
        compared: How many of them the directions were counted among.
    """
    expected: dict[int, float] = {}
    for group in groups:
        least = 0.5
        for i in group:
            cosine, directions = likeness.get(i, (1.0, 0.0))
            count = independent_samples(samples, directions, compared)
            least = min(least, expected_dead_fraction(count, cosine))
        expected.update(dict.fromkeys(group, least))
    return expected


def _layers_behind(graph: Graph, activation: int) -> tuple[int, ...]:
    """Return the nearest nodes with weights that feed an activation.

    The state of an LSTM leads back through all of time; the search ends after so many nodes.
    """
    found: set[int] = set()
    seen = {activation}
    stack = [activation]
    while stack and len(seen) <= _MOST_NODES:
        for link in graph.links[stack.pop()]:
            before = link.producer
            if before is None or before in seen:
                continue
            seen.add(before)
            if graph.sites[before].weights:
                found.add(before)
            elif graph.notes[before].activation is None:
                stack.append(before)
    return tuple(sorted(found))
