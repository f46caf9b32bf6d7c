"""Sums, means, maxima and parts: each has one number of its own for every gradient."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from torch import Tensor

from unvanish.core.operations import Node
from unvanish.observe.local.scale import Scale, Scales, half_log


def _constant(log10: float) -> Scales:
    def scale(node: Node, gradient: Tensor) -> Iterator[Scale]:  # noqa: ARG001
        yield 0, None, log10

    return scale


def _sum(node: Node, gradient: Tensor) -> Iterator[Scale]:
    sizes = math.prod(int(n) for n in node._saved_self_sym_sizes)
    yield 0, None, half_log(sizes / gradient.numel())


def _mean(node: Node, gradient: Tensor) -> Iterator[Scale]:
    sizes = math.prod(int(n) for n in node._saved_self_sym_sizes)
    yield 0, None, -half_log(sizes / gradient.numel())


def _adaptive(node: Node, gradient: Tensor) -> Iterator[Scale]:
    yield 0, None, -half_log(node._saved_self.numel() / gradient.numel())


def _average(node: Node, gradient: Tensor) -> Iterator[Scale]:  # noqa: ARG001
    if node._saved_divisor_override is None and not any(node._saved_padding):
        yield 0, None, -half_log(math.prod(node._saved_kernel_size))


def _joined(node: Node, gradient: Tensor) -> Iterator[Scale]:
    """Return for each part of a concatenation the share of the entries that are its own."""
    for position, (behind, slot) in enumerate(node.next_functions):
        if behind is not None and not hasattr(behind, "variable"):
            own = math.prod(int(n) for n in behind._input_metadata[slot].shape)
            yield position, None, half_log(own / gradient.numel())


def _where(node: Node, gradient: Tensor) -> Iterator[Scale]:
    chosen = node._saved_condition.expand(gradient.shape)
    yield 0, chosen, -half_log(gradient.numel())
    yield 1, ~chosen, -half_log(gradient.numel())


def _masked_fill(node: Node, gradient: Tensor) -> Iterator[Scale]:
    mask = ~node._saved_mask
    yield 0, mask, -half_log(mask.numel())
    del gradient


SCALES: Final[dict[str, Scales]] = {
    "SumBackward0": _sum,
    "SumBackward1": _sum,
    "MeanBackward0": _mean,
    "MeanBackward1": _mean,
    "AdaptiveAvgPool2DBackward0": _adaptive,
    "AdaptiveAvgPool3DBackward0": _adaptive,
    "AvgPool2DBackward0": _average,
    "AvgPool3DBackward0": _average,
    "MaxPool2DWithIndicesBackward0": _constant(0.0),
    "MaxPool3DWithIndicesBackward0": _constant(0.0),
    "AdaptiveMaxPool2DBackward0": _constant(0.0),
    "MaxBackward0": _constant(0.0),
    "MinBackward0": _constant(0.0),
    "AmaxBackward0": _constant(0.0),
    "CatBackward0": _joined,
    "StackBackward0": _joined,
    "IndexBackward0": _constant(0.0),
    "IndexSelectBackward0": _constant(0.0),
    "GatherBackward0": _constant(0.0),
    "RepeatBackward0": _constant(0.0),
    "ExpandBackward0": _constant(0.0),
    "UpsampleNearest2DBackward0": _constant(0.0),
    "WhereBackward0": _where,
    "MaskedFillBackward0": _masked_fill,
}
