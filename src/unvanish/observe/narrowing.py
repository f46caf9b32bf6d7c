"""Gradients that pass 16 bits on their way, because the forward pass casts in between."""

from __future__ import annotations

import math
from typing import Final

import torch

from unvanish.observe.backward import ParameterGradient
from unvanish.observe.graph import Graph
from unvanish.observe.look import Look
from unvanish.observe.statistics.magnitude import dense_values

_HALVES: Final = {torch.float16: "float16", torch.bfloat16: "bfloat16"}


def carried_in(look: Look) -> dict[str, str]:
    """Return the parameters whose gradient passes 16 bits on every way from the loss.

    A way that stays in a wider type all along brings the gradient whole, so a parameter with one
    is not among them.

    Args:
        look: A look whose loss has a gradient.

    Returns:
        Name of a parameter to ``"float16"`` or ``"bfloat16"``: the type that it passes last.
    """
    graph = look.graph
    if not any(note.low_precision for note in graph.notes):
        return {}
    ways: dict[int, set[str]] = {}
    found: dict[str, set[str]] = {}
    end = graph.index.get(look.loss.grad_fn)
    if end is None:
        return {}
    ways[end] = {_type_at(graph, end, 0)}
    for consumer in range(end, -1, -1):
        arrived = ways.get(consumer)
        if arrived is None:
            continue  # nothing of the loss comes by here
        passed = "" if "" in arrived else min(arrived)
        for link in graph.links[consumer]:
            if link.producer is not None:
                here = _type_at(graph, link.producer, link.slot)
                ways.setdefault(link.producer, set()).add(here or passed)
            elif link.parameter is not None:
                found.setdefault(link.parameter, set()).add(passed)
    return {name: min(types) for name, types in found.items() if "" not in types}


def lost_fraction(plain: ParameterGradient | None, exact: ParameterGradient | None) -> float:
    """Return the share of a gradient's entries that are zero in the types of the run alone.

    Args:
        plain: The gradient as the run computes it.
        exact: The same in float64, or with exponents kept.

    Returns:
        Between 0 and 1; ``nan`` where there are not two gradients, or nothing to lose.
    """
    if plain is None or exact is None or plain is exact:
        return math.nan
    there = int(torch.count_nonzero(dense_values(exact.tensor)))
    kept = int(torch.count_nonzero(dense_values(plain.tensor)))
    return max(0.0, 1.0 - kept / there) if there else math.nan


def _type_at(graph: Graph, node: int, slot: int) -> str:
    """Name the type of 16 bits in which a gradient arrives at a node; empty for a wider one."""
    try:
        dtype = graph.notes[node].node._input_metadata[slot].dtype
    except (AttributeError, IndexError, RuntimeError):
        return ""
    return _HALVES.get(dtype, "")
