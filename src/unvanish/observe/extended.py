"""A backward pass whose gradients cannot underflow: every tensor carries a power of two.

Where the gradient of a deep network is 1e-850, no floating type holds it. Here the nodes
are called one by one, in the order the engine would use; what arrives at a node is
brought to size one by an exact power of two, and the exponent is kept beside it. Linear
maps commute with powers of two, so nothing is lost.

Hooks of the user's do not run here, as only PyTorch's engine knows them. The plain pass,
which is made first, runs them; `deeper` compares the two.

As the nodes are called one by one, a node's own backward formula can be replaced on the way:
see `Surgery`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from unvanish.observe.backward import Gradients, GradientSink, ParameterGradient
from unvanish.observe.graph import Graph
from unvanish.observe.local import LocalFactors
from unvanish.observe.statistics.magnitude import scale_by_power_of_two

Scaled = tuple[Tensor, int]
"""A tensor and the power of two it must be multiplied with."""

Place = tuple[int, int]
"""A node's index and one of its output slots."""

_FAR_APART = 1500
"""Binary orders after which the smaller of two addends cannot be seen in the sum."""


class Surgery(Protocol):
    """Replaces parts of the Jacobian while the backward pass runs; the forward pass stands."""

    def sent(
        self, node: int, arrived: Sequence[Tensor | None], sent: Sequence[Tensor | None]
    ) -> Sequence[Tensor | None]:
        """Return what a node sends back, in place of what its own formula gives."""
        ...

    def entering(self, node: int) -> float:
        """Return what is multiplied with what arrives at a node before its formula runs."""
        ...

    def passes(self, consumer: int, producer: int) -> bool:
        """Tell whether what one node sends to another arrives there."""
        ...

    def beside(self, node: int) -> Iterable[tuple[Place, float]]:
        """Yield where a multiple of what arrives at a node goes past its formula."""
        ...


class Visitor(Protocol):
    """Takes the numbers of every node that a backward pass visits."""

    def visit(
        self,
        node: int,
        arrived: Sequence[Tensor | None],
        sent: Sequence[Tensor | None],
        exponent: int = 0,
    ) -> None:
        """Take what arrived at one node and what it sent on, both over ``2**exponent``."""
        ...


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
    local: LocalFactors | None = None,
) -> Gradients:
    """Walk the graph behind the roots node by node, keeping exponents apart.

    Args:
        graph: The computation; best in float64, but any type keeps its exponents.
        roots: Where the gradient starts.
        cotangents: Gradient at each root, same shapes.
        wanted: Names of the parameters whose gradient is asked for.
        rank_of: Samples in the batch, to count the directions of their gradients; 0 not to.
        local: Collects the factors of single steps; None where they are not asked for.

    Returns:
        Gradients whose logarithms may lie far beyond any floating type.
    """
    sink = GradientSink(graph, rank_of=rank_of, local=local)
    arriving: dict[Place, Scaled] = {}
    for root, cotangent in zip(roots, cotangents, strict=True):
        key = (graph.index[root.grad_fn], root.output_nr)
        arriving[key] = add_scaled(arriving.get(key), (cotangent, 0))
    parameters = walk(graph, sink, arriving, wanted=wanted)
    result = sink.finish()
    for name, (tensor, exponent) in parameters.items():
        result.parameters[name] = ParameterGradient(tensor, exponent)
    return result


def walk(
    graph: Graph,
    visitor: Visitor,
    arriving: Mapping[Place, Scaled],
    *,
    wanted: frozenset[str] = frozenset(),
    surgery: Surgery | None = None,
    down_to: int = 0,
) -> dict[str, Scaled]:
    """Visit the nodes one by one, from where a gradient arrives first down to the inputs.

    Args:
        graph: The computation.
        visitor: Takes the numbers.
        arriving: Where gradient enters.
        wanted: Names of the parameters whose gradient is asked for.
        surgery: What to replace on the way; None for the network as it is.
        down_to: Index of the last node to visit.

    Returns:
        Name to gradient of the parameters that were asked for.
    """
    waiting = dict(arriving)
    parameters: dict[str, Scaled] = {}
    start = max((index for index, _ in waiting), default=-1)
    for index in range(start, down_to - 1, -1):
        _visit(graph, visitor, index, waiting, parameters, wanted, surgery)
    return parameters


def _visit(
    graph: Graph,
    visitor: Visitor,
    index: int,
    arriving: dict[Place, Scaled],
    parameters: dict[str, Scaled],
    wanted: frozenset[str],
    surgery: Surgery | None,
) -> None:
    node = graph.notes[index].node
    metadata = node._input_metadata
    slots: list[Scaled | None] = [
        arriving.pop((index, slot), None) for slot in range(len(metadata))
    ]
    hook = surgery.entering(index) if surgery is not None else 1.0
    if hook != 1.0:
        slots = [value and (hook * value[0], value[1]) for value in slots]
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
        sent = None if wanted else _signal_alone(graph, index, arrived)
        if sent is None:
            sent = call_node(node, arrived)
        if surgery is not None:
            sent = tuple(surgery.sent(index, arrived, sent))
            for (producer, slot), factor in surgery.beside(index):
                if arrived[0] is not None:
                    past = (factor * arrived[0], exponent)
                    key = (producer, slot)
                    arriving[key] = add_scaled(arriving.get(key), past)
    fitted: list[Tensor | None] = list(sent)
    for link in graph.links[index]:
        given = fitted[link.position] if link.position < len(fitted) else None
        if given is None:
            continue
        if link.producer is not None:
            target = graph.notes[link.producer].node._input_metadata[link.slot]
            tensor = _fit(given, tuple(int(n) for n in target.shape), target.dtype)
            fitted[link.position] = tensor
            if surgery is not None and not surgery.passes(index, link.producer):
                continue
            key = (link.producer, link.slot)
            arriving[key] = add_scaled(arriving.get(key), (tensor, exponent))
        elif link.parameter in wanted:
            leaf, _ = node.next_functions[link.position]
            tensor = _fit(given, tuple(leaf.variable.shape), leaf.variable.dtype)
            fitted[link.position] = tensor
            parameters[link.parameter] = normalise(
                add_scaled(parameters.get(link.parameter), (tensor, exponent))
            )
    visitor.visit(index, arrived, fitted, exponent)


def call_node(node: Any, arrived: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
    """Run one node's backward formula; Python functions keep it under another name."""
    run = node if callable(node) else node.apply
    result = run(*arrived)
    return result if isinstance(result, tuple) else (result,)


def _signal_alone(
    graph: Graph, index: int, arrived: Sequence[Tensor | None]
) -> tuple[Tensor | None, ...] | None:
    """Run a convolution's backward formula without its weights' gradients, half of its cost.

    Returns:
        What it sends to its input; None where another node is asked, or one whose weights are
        computed from others.
    """
    node: Any = graph.notes[index].node
    if node.name() != "ConvolutionBackward0" or arrived[0] is None:
        return None
    if any(link.producer is not None and link.position for link in graph.links[index]):
        return None
    if node.next_functions[0][0] is None:
        return None, None, None
    result: tuple[Tensor | None, ...] = torch.ops.aten.convolution_backward(
        arrived[0],
        node._saved_input,
        node._saved_weight,
        node._saved_bias_sym_sizes_opt,
        node._saved_stride,
        node._saved_padding,
        node._saved_dilation,
        node._saved_transposed,
        node._saved_output_padding,
        node._saved_groups,
        (True, False, False),
    )
    return result


def _fit(tensor: Tensor, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Do what the engine does between nodes: sum over broadcast dimensions, cast."""
    if tensor.layout is torch.strided and tuple(tensor.shape) != shape:
        tensor = tensor.sum_to_size(shape)
    if tensor.dtype != dtype and (tensor.is_complex() == dtype.is_complex):
        tensor = tensor.to(dtype)
    return tensor
