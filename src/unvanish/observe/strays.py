"""Trainable tensors that the network uses but does not register as its parameters."""

from __future__ import annotations

from typing import Final

import torch
from torch import nn

from unvanish.core.incidents import Stray
from unvanish.core.operations import is_leaf_node
from unvanish.observe.lineage import Lineage
from unvanish.observe.look import Look

_RANDOM: Final = frozenset(
    "rand randn rand_like randn_like uniform normal trunc_normal kaiming_uniform kaiming_normal "
    "xavier_uniform xavier_normal orthogonal bernoulli exponential cauchy log_normal".split()
)
"""Calls that fill a tensor with random numbers, without the underscore at their end."""


def strays(look: Look, optimizer: torch.optim.Optimizer | None) -> tuple[Stray, ...]:
    """Find the leaves between the inputs and the outputs that no parameter name belongs to.

    Layers in a plain list are such leaves: they get a gradient, and are in no
    ``parameters()``. So are those of a layer that the forward pass itself makes and fills with
    random numbers. Any other leaf made there is none, nor is an input that asks for a gradient,
    nor what only the loss uses (the other player of a GAN).

    Args:
        look: The first look.
        optimizer: The user's optimiser, or None where none was given.
    """
    graph, lineage = look.graph, look.tape.lineage
    held = None
    if optimizer is not None:
        held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    upstream: set[int] = set()
    stack = [graph.index[t.grad_fn] for t in look.outputs if t.grad_fn in graph.index]
    while stack:
        node = stack.pop()
        if node not in upstream:
            upstream.add(node)
            stack.extend(k.producer for k in graph.links[node] if k.producer is not None)
    found: dict[int, Stray] = {}
    for index in sorted(upstream):
        for node, _ in graph.notes[index].node.next_functions:
            if node is None or not is_leaf_node(node):
                continue
            leaf = node.variable
            if id(leaf) in found:
                continue
            drawn = _is_drawn(leaf, lineage)
            if drawn or lineage.is_stranger(leaf):
                known = None if held is None else id(leaf) in held
                found[id(leaf)] = Stray(index, tuple(leaf.shape), known, drawn)
    return tuple(found.values())


def _is_drawn(leaf: torch.Tensor, lineage: Lineage) -> bool:
    """Tell whether a leaf is a parameter that the forward pass made of random numbers."""
    if not isinstance(leaf, nn.Parameter) or id(leaf) in lineage.parameter_names:
        return False
    made_by, seen = lineage.maker(leaf), set[int]()
    stack = [] if made_by is None else [made_by]
    while stack:
        index = stack.pop()
        if index in seen:
            continue
        seen.add(index)
        call = lineage.calls[index]
        if call.op in _RANDOM:
            return True
        stack.extend(call.parents)
    return False
