"""Functions of one signal: elementwise ones by their slopes, a softmax by its whole Jacobian."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Final

import torch
from torch import Tensor

from unvanish.core.operations import Node
from unvanish.observe.local.scale import Scale, Scales, half_log

_MOST_CHOICES: Final = 2**22
"""Entries of a softmax beyond which every so many-th row is read."""


def _of(derivative: Callable[[Node], Tensor]) -> Scales:
    """Return the scale of a function that acts on every entry alone, from its derivative."""

    def scale(node: Node, gradient: Tensor) -> Iterator[Scale]:  # noqa: ARG001
        slope = derivative(node)
        yield 0, slope, -half_log(slope.numel())

    return scale


def _power(node: Node) -> Tensor:
    exponent = float(node._saved_exponent)
    slope: Tensor = exponent * node._saved_self.double().pow(exponent - 1.0)
    return slope


def _softmax(node: Node, gradient: Tensor) -> Iterator[Scale]:  # noqa: ARG001
    """Return the scale of diag(p) - p p^T, of squared norm S_2 - 2 S_3 + S_2^2 a row."""
    p = node._saved_result.movedim(_axis(node._saved_dim), -1)
    rows = p.reshape(-1, p.shape[-1])
    rows = rows[:: max(1, -(-p.numel() // _MOST_CHOICES))]
    sizes = []
    for part in rows.split(max(1, 2**18 // rows.shape[-1])):
        wide = part.double()
        square = wide.square()
        second = square.sum(-1)
        third = torch.linalg.vecdot(square, wide)
        sizes.append((second - 2 * third + second.square()).clamp_min(0.0).sqrt())
    yield 0, torch.cat(sizes), -half_log(rows.numel())


def _axis(saved: int) -> int:
    return saved - 2**64 if saved >= 2**63 else saved  # how a node writes the axis -1


def _glu(node: Node, gradient: Tensor) -> Iterator[Scale]:
    value, gate = node._saved_self.double().chunk(2, _axis(node._saved_dim))
    gate = gate.sigmoid()
    slope = torch.cat([gate.flatten(), (value * gate * (1 - gate)).flatten()])
    yield 0, slope, -half_log(gradient.numel())


def _dropout(node: Node, gradient: Tensor) -> Iterator[Scale]:
    kept = node._saved_result1
    yield 0, kept, -half_log(gradient.numel()) - math.log10(max(1e-300, 1 - node._saved_p))


def _log_softmax(node: Node, gradient: Tensor) -> Iterator[Scale]:
    """Return the scale of 1 - 1 p^T, of squared norm n - 2 + n S_2 a row of n."""
    p = node._saved_result.double().exp()
    axis = _axis(node._saved_dim)
    choices = p.shape[axis]
    rows = (choices - 2 + choices * p.square().sum(axis)).clamp_min(0.0).sqrt()
    yield 0, rows, -half_log(gradient.numel())


def _lerp(node: Node, gradient: Tensor) -> Iterator[Scale]:  # noqa: ARG001
    weight = node._saved_weight
    if isinstance(weight, Tensor):
        wide = weight.double()
        yield 0, 1 - wide, -half_log(wide.numel())
        yield 1, wide, -half_log(wide.numel())
    if len(node.next_functions) > 2 and node.next_functions[2][0] is not None:
        apart = node._saved_end.double() - node._saved_self.double()
        yield 2, apart, -half_log(apart.numel())


def _sigmoid_slope(node: Node) -> Tensor:
    y: Tensor = node._saved_result
    return y * (1 - y)


def _tanh_slope(node: Node) -> Tensor:
    y: Tensor = node._saved_result
    return 1 - y.square()


SCALES: Final[dict[str, Scales]] = {
    "SoftmaxBackward0": _softmax,
    "SafeSoftmaxBackward0": _softmax,
    "NativeDropoutBackward0": _dropout,
    "GluBackward0": _glu,
    "SigmoidBackward0": _of(_sigmoid_slope),
    "TanhBackward0": _of(_tanh_slope),
    "ReluBackward0": _of(lambda node: node._saved_result > 0),
    "ExpBackward0": _of(lambda node: node._saved_result),
    "LogBackward0": _of(lambda node: node._saved_self.double().reciprocal()),
    "SqrtBackward0": _of(lambda node: 0.5 / node._saved_result.double()),
    "RsqrtBackward0": _of(lambda node: 0.5 * node._saved_result.double().pow(3)),
    "ReciprocalBackward0": _of(lambda node: node._saved_result.double().square()),
    "PowBackward0": _of(_power),
    "LogSoftmaxBackward0": _log_softmax,
    "LerpBackward1": _lerp,
}
