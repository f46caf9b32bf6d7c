"""A backward pass whose gradients cannot underflow: every tensor carries a power of two.

Where the gradient of a deep network is 1e-850, no floating type holds it. Here the nodes
are called one by one, in the order the engine would use; what arrives at a node is
brought to size one by an exact power of two, and the exponent is kept beside it. Linear
maps commute with powers of two, so nothing is lost.

Hooks of the user's do not run here, as only PyTorch's engine knows them. The plain pass,
which is made first, runs them; `deeper` compares the two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from unvanish.observe.backward import Gradients, GradientSink, ParameterGradient
from unvanish.observe.graph import Graph
from unvanish.observe.statistics.magnitude import scale_by_power_of_two

Scaled = tuple[Tensor, int]
"""A tensor and the power of two it must be multiplied with."""

_FAR_APART = 1500
"""Binary orders after which the smaller of two addends cannot be seen in the sum."""


def add_scaled(a: Scaled | None, b: Scaled) -> Scaled:
    """Add two scaled tensors in the scale of the larger one."""
    if a is None:
        return b
    big, small = (a, b) if a[1] >= b[1] else (b, a)
    distance = big[1] - small[1]
    if distance > _FAR_APART:
        return big
    addend = small[0] if distance == 0 else scale_by_power_of_two(small[0], -distance)
    return big[0] + addend.to(big[0].dtype), big[1]


def normalise(value: Scaled) -> Scaled:
    """Bring the largest entry of a scaled tensor to between one half and one."""
    tensor, exponent = value
    if tensor.layout is not torch.strided or tensor.numel() == 0:
        return value
    largest = float(tensor.abs().amax())
    if largest == 0.0 or not math.isfinite(largest):
        return value
    _, shift = math.frexp(largest)
    if -20 < shift < 20:
        return value
    return scale_by_power_of_two(tensor, -shift).to(tensor.dtype), exponent + shift


def run_extended_backward(
    graph: Graph,
    roots: Sequence[Tensor],
    cotangents: Sequence[Tensor],
    *,
    wanted: frozenset[str],
    rank_of: int = 0,
) -> Gradients:
    """Walk the graph behind the roots node by node, keeping exponents apart.

    Args:
        graph: The computation; best in float64, but any type keeps its exponents.
        roots: Where the gradient starts.
        cotangents: Gradient at each root, same shapes.
        wanted: Names of the parameters whose gradient is asked for.
        rank_of: Samples in the batch, to count the directions of their gradients; 0 not to.

    Returns:
        Gradients whose logarithms may lie far beyond any floating type.
    """
    sink = GradientSink(graph, rank_of=rank_of)
    arriving: dict[tuple[int, int], Scaled] = {}
    parameters: dict[str, Scaled] = {}
    start = -1
    for root, cotangent in zip(roots, cotangents, strict=True):
        index = graph.index[root.grad_fn]
        key = (index, root.output_nr)
        arriving[key] = add_scaled(arriving.get(key), (cotangent, 0))
        start = max(start, index)
    for index in range(start, -1, -1):
        _visit(graph, sink, index, arriving, parameters, wanted)
    result = sink.finish()
    for name, (tensor, exponent) in parameters.items():
        result.parameters[name] = ParameterGradient(tensor, exponent)
    return result


def _visit(
    graph: Graph,
    sink: GradientSink,
    index: int,
    arriving: dict[tuple[int, int], Scaled],
    parameters: dict[str, Scaled],
    wanted: frozenset[str],
) -> None:
    node = graph.notes[index].node
    metadata = node._input_metadata
    slots: list[Scaled | None] = [
        arriving.pop((index, slot), None) for slot in range(len(metadata))
    ]
    present = [normalise(value) for value in slots if value is not None]
    if not present:
        return
    exponent = max(value[1] for value in present)
    iterator = iter(present)
    arrived: list[Tensor | None] = []
    for value in slots:
        if value is None:
            arrived.append(None)
            continue
        tensor, its_exponent = next(iterator)
        shift = max(its_exponent - exponent, -_FAR_APART)
        arrived.append(scale_by_power_of_two(tensor, shift).to(tensor.dtype) if shift else tensor)
    with torch.no_grad():
        sent = _call(node, arrived)
    fitted: list[Tensor | None] = list(sent)
    for link in graph.links[index]:
        given = fitted[link.position] if link.position < len(fitted) else None
        if given is None:
            continue
        if link.producer is not None:
            target = graph.notes[link.producer].node._input_metadata[link.slot]
            tensor = _fit(given, tuple(int(n) for n in target.shape), target.dtype)
            fitted[link.position] = tensor
            key = (link.producer, link.slot)
            arriving[key] = add_scaled(arriving.get(key), (tensor, exponent))
        elif link.parameter in wanted:
            leaf, _ = node.next_functions[link.position]
            tensor = _fit(given, tuple(leaf.variable.shape), leaf.variable.dtype)
            fitted[link.position] = tensor
            parameters[link.parameter] = normalise(
                add_scaled(parameters.get(link.parameter), (tensor, exponent))
            )
    sink.visit(index, arrived, fitted, exponent)


def _call(node: Any, arrived: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
    """Run one node's backward formula; Python functions keep it under another name."""
    run = node if callable(node) else node.apply
    result = run(*arrived)
    return result if isinstance(result, tuple) else (result,)


def _fit(tensor: Tensor, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Do what the engine does between nodes: sum over broadcast dimensions, cast."""
    if tensor.layout is torch.strided and tuple(tensor.shape) != shape:
        tensor = tensor.sum_to_size(shape)
    if tensor.dtype != dtype and (tensor.is_complex() == dtype.is_complex):
        tensor = tensor.to(dtype)
    return tensor
