"""Trainable tensors that the network uses but does not register as its parameters."""

from __future__ import annotations

import torch

from unvanish.core.incidents import Stray
from unvanish.core.operations import is_leaf_node
from unvanish.observe.look import Look


def strays(look: Look, optimizer: torch.optim.Optimizer | None) -> tuple[Stray, ...]:
    """Find the leaves between the inputs and the outputs that no parameter name belongs to.

    Layers in a plain list are such leaves: they get a gradient, and are in no
    ``parameters()``. A leaf made in the forward pass itself is none, nor is an input that
    asks for a gradient, nor what only the loss uses (the other player of a GAN).

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
            if id(leaf) in found or not lineage.is_stranger(leaf):
                continue
            known = None if held is None else id(leaf) in held
            found[id(leaf)] = Stray(index, tuple(leaf.shape), known)
    return tuple(found.values())
