"""Convolutions: how often every tap meets the map, and every place of it a tap."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

import torch
from torch import Tensor

from unvanish.core.operations import Node
from unvanish.observe.local.scale import Scale, Scales, Signals, half_log


@lru_cache(maxsize=1024)
def _meetings(
    inputs: int, outputs: int, kernel: int, stride: int, padding: int, dilation: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Count on one axis how often each tap, and each input, takes part in a convolution.

    Returns:
        For each tap the outputs at which it meets the map, not its padding; for each input
        position the pairs of output and tap that read it.
    """
    taps, places = [0] * kernel, [0] * inputs
    for tap in range(kernel):
        for output in range(outputs):
            place = output * stride - padding + tap * dilation
            if 0 <= place < inputs:
                taps[tap] += 1
                places[place] += 1
    return tuple(taps), tuple(places)


def _axes(node: Node, before: Sequence[int], after: Sequence[int]) -> list[tuple[Any, Any]]:
    """Return the meetings of every axis; a transposed convolution is one from its output."""
    kernel = node._saved_weight.shape[2:]
    given = (node._saved_stride, node._saved_padding, node._saved_dilation)
    found = []
    for axis, taps in enumerate(kernel):
        stride, padding, dilation = (int(setting[axis]) for setting in given)
        one, other = int(before[axis]), int(after[axis])
        if not node._saved_transposed:
            found.append(_meetings(one, other, int(taps), stride, padding, dilation))
        else:
            counts, _ = _meetings(other, one, int(taps), stride, padding, dilation)
            found.append((counts, _taps_inside(one, other, int(taps), stride, padding, dilation)))
    return found


@lru_cache(maxsize=1024)
def _taps_inside(
    inputs: int, outputs: int, kernel: int, stride: int, padding: int, dilation: int
) -> tuple[int, ...]:
    """Count for each input of a transposed convolution the taps that land inside the output."""
    return tuple(
        sum(0 <= place * stride - padding + tap * dilation < outputs for tap in range(kernel))
        for place in range(inputs)
    )


def _roots(counts: Sequence[Sequence[int]], like: Tensor) -> Tensor:
    """Return the square roots of the products of counts, one axis of the result an axis."""
    product = torch.ones((), dtype=torch.float64)
    for row in counts:
        product = product[..., None] * torch.tensor(row, dtype=torch.float64)
    return product.sqrt().to(like.device)


def _convolution(node: Node, gradient: Tensor) -> Iterator[Scale]:
    behind, slot = node.next_functions[0]
    if behind is None or hasattr(behind, "variable"):
        return
    weight = node._saved_weight
    before = [int(n) for n in behind._input_metadata[slot].shape[2:]]
    taps = [counts for counts, _ in _axes(node, before, gradient.shape[2:])]
    outputs = math.prod(gradient.shape[1:])
    yield 0, weight.double() * _roots(taps, weight), -half_log(outputs)


def _convolution_signal(node: Node, gradient: Tensor) -> Iterator[tuple[int, Tensor]]:
    entering = node._saved_input
    places = [counts for _, counts in _axes(node, entering.shape[2:], gradient.shape[2:])]
    yield 1, _map_of_norms(entering) * _roots(places, entering)


def _map_of_norms(tensor: Tensor) -> Tensor:
    """Return the norm over samples and channels at every position.

    Squares are added, scaled to the largest entry; a reduction over the first axes to a norm is
    many times slower.
    """
    largest = torch.maximum(tensor.amax(), -tensor.amin()).double()
    largest = torch.where(largest > 0, largest, 1.0)
    energy = torch.zeros(tensor.shape[2:], dtype=torch.float64, device=tensor.device)
    rows = max(1, 2**18 * tensor.shape[0] // tensor.numel())
    for part in tensor.split(rows):
        wide = part.float() if part.dtype.itemsize < 4 else part
        scaled = wide / largest.to(wide.dtype)
        energy += (scaled * scaled).flatten(0, 1).sum(0)
    return energy.sqrt() * largest


SCALES: Final[dict[str, Scales]] = {"ConvolutionBackward0": _convolution}
SIGNALS: Final[dict[str, Signals]] = {"ConvolutionBackward0": _convolution_signal}
