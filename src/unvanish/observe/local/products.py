"""Products of two tensors: each is the matrix, or the slope, that the other one is given."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from torch import Tensor

from unvanish.core.operations import Node
from unvanish.observe.local.scale import Scale, Scales, Signals, half_log


def _addmm(node: Node, gradient: Tensor) -> Iterator[Scale]:
    rows, columns = gradient.shape
    factor = math.log10(abs(float(node._saved_alpha))) if node._saved_alpha else math.nan
    if node._saved_beta:
        yield 0, None, math.log10(abs(float(node._saved_beta)))
    yield 1, node._saved_mat2, factor - half_log(columns)
    if node.next_functions[2][0] is not None:
        yield 2, node._saved_mat1, factor - half_log(rows)


def _mm(node: Node, gradient: Tensor) -> Iterator[Scale]:
    """Return the scales of a product of matrices, or of a batch of them."""
    batch = math.prod(gradient.shape[:-2])
    rows, columns = gradient.shape[-2:]
    if node.next_functions[0][0] is not None:
        yield 0, node._saved_mat2, -half_log(batch * columns)
    if node.next_functions[1][0] is not None:
        yield 1, node._saved_self, -half_log(batch * rows)


def _baddbmm(node: Node, gradient: Tensor) -> Iterator[Scale]:
    batch, rows, columns = gradient.shape
    factor = math.log10(abs(float(node._saved_alpha))) if node._saved_alpha else math.nan
    if node._saved_beta:
        yield 0, None, math.log10(abs(float(node._saved_beta)))
    if node.next_functions[1][0] is not None:
        yield 1, node._saved_batch2, factor - half_log(batch * columns)
    if node.next_functions[2][0] is not None:
        yield 2, node._saved_batch1, factor - half_log(batch * rows)


def _mv(node: Node, gradient: Tensor) -> Iterator[Scale]:
    if node.next_functions[0][0] is not None:
        yield 0, node._saved_vec, 0.0
    if node.next_functions[1][0] is not None:
        yield 1, node._saved_self, -half_log(gradient.shape[0])


def _dot(node: Node, gradient: Tensor) -> Iterator[Scale]:  # noqa: ARG001
    if node.next_functions[0][0] is not None:
        yield 0, node._saved_tensor, 0.0
    if node.next_functions[1][0] is not None:
        yield 1, node._saved_self, 0.0


def _mul(node: Node, gradient: Tensor) -> Iterator[Scale]:  # noqa: ARG001
    for position, name in enumerate(("_saved_other", "_saved_self")):
        if node.next_functions[position][0] is not None:
            other = getattr(node, name)
            yield position, other, -half_log(other.numel())


def _div(node: Node, gradient: Tensor) -> Iterator[Scale]:  # noqa: ARG001
    other = node._saved_other
    if node.next_functions[0][0] is not None and other.ndim == 0:
        yield 0, None, -math.log10(abs(float(other)))  # a number takes PyTorch's default type
    elif node.next_functions[0][0] is not None:
        yield 0, other.double().reciprocal(), -half_log(other.numel())
    if node.next_functions[1][0] is not None:
        slope = node._saved_self.double() / other.double().square()
        yield 1, slope, -half_log(slope.numel())


def _scalar_mul(node: Node, gradient: Tensor) -> Iterator[Scale]:  # noqa: ARG001
    yield 0, None, math.log10(abs(node._saved_other))


def _scalar_div(node: Node, gradient: Tensor) -> Iterator[Scale]:  # noqa: ARG001
    yield 0, None, -math.log10(abs(node._saved_other))


def _matrix_signal(node: Node, gradient: Tensor) -> Iterator[tuple[int, Tensor]]:  # noqa: ARG001
    """Return what a product multiplies its weight's gradient with, on either side."""
    first, second = (
        ("_saved_mat1", "_saved_mat2")
        if node.name() == "AddmmBackward0"
        else ("_saved_self", "_saved_mat2")
    )
    shift = len(node.next_functions) - 2  # an addmm takes what is added first
    for position, name in ((shift, second), (shift + 1, first)):
        if node.next_functions[position][0] is not None:
            yield position, getattr(node, name)


def _mul_signal(node: Node, gradient: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Return x of w x, as one entry of w meets it: its norm over the square root of w's entries."""
    for position, name in enumerate(("_saved_other", "_saved_self")):
        if node.next_functions[position][0] is not None:
            other = getattr(node, name)
            own = math.prod(_shape_behind(node, position)) or 1
            repeats = gradient.numel() / max(1, other.numel())
            yield position, other.double() * math.sqrt(repeats / own)


def _shape_behind(node: Node, position: int) -> tuple[int, ...]:
    behind, slot = node.next_functions[position]
    if hasattr(behind, "variable"):
        return tuple(behind.variable.shape)
    return tuple(int(n) for n in behind._input_metadata[slot].shape)


SCALES: Final[dict[str, Scales]] = {
    "AddmmBackward0": _addmm,
    "MmBackward0": _mm,
    "BmmBackward0": _mm,
    "BaddbmmBackward0": _baddbmm,
    "MvBackward0": _mv,
    "DotBackward0": _dot,
    "MulBackward0": _mul,
    "MulBackward1": _scalar_mul,
    "DivBackward0": _div,
    "DivBackward1": _scalar_div,
}
SIGNALS: Final[dict[str, Signals]] = {
    "AddmmBackward0": _matrix_signal,
    "MmBackward0": _matrix_signal,
    "BmmBackward0": _matrix_signal,
    "MulBackward0": _mul_signal,
}
