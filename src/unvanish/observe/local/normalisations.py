"""Normalisations: the gradient times gamma, and without one over the deviation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from torch import Tensor

from unvanish.core.operations import Node
from unvanish.observe.statistics.magnitude import norms_along


def _layer_norm(node: Node, gradient: Tensor, sent: Tensor) -> Iterator[tuple[str, Tensor]]:
    inner = len(node._saved_normalized_shape)
    features = range(gradient.ndim - inner, gradient.ndim)
    rows = range(gradient.ndim - inner)
    rstd = node._saved_result2.reshape(gradient.shape[: gradient.ndim - inner])
    yield from _norm_parts(gradient, sent, features, node._saved_weight, rows, rstd)


def _batch_norm(node: Node, gradient: Tensor, sent: Tensor) -> Iterator[tuple[str, Tensor]]:
    if node._saved_training:
        rstd = node._saved_result2
    else:
        eps = node._saved_eps if hasattr(node, "_saved_eps") else node._saved_epsilon
        rstd = (node._saved_running_var.double() + eps).rsqrt()
    yield from _norm_parts(gradient, sent, (1,), node._saved_weight, (1,), rstd)


def _group_norm(node: Node, gradient: Tensor, sent: Tensor) -> Iterator[tuple[str, Tensor]]:
    groups = int(node._saved_group)
    grouped = sent.reshape(sent.shape[0], groups, -1)
    rstd = node._saved_result2.reshape(sent.shape[0], groups)
    yield from _norm_parts(gradient, grouped, (1,), node._saved_weight, (0, 1), rstd)


def _norm_parts(
    gradient: Tensor,
    sent: Tensor,
    features: Sequence[int],
    weight: Tensor | None,
    groups: Sequence[int],
    rstd: Tensor,
) -> Iterator[tuple[str, Tensor]]:
    """Return what has the norms |g|, |gamma g| and |sigma c|, without a copy of either."""
    arrived = norms_along(gradient, keep=features)
    yield "arrived", arrived
    if weight is None:
        yield "affine", arrived
    else:
        yield "affine", arrived * weight.double().reshape(arrived.shape)
    yield "projection", norms_along(sent, keep=groups) / rstd.double()


NORMS: Final[dict[str, Callable[[Node, Tensor, Tensor], Iterator[tuple[str, Tensor]]]]] = {
    "NativeLayerNormBackward0": _layer_norm,
    "NativeBatchNormBackward0": _batch_norm,
    "CudnnBatchNormBackward0": _batch_norm,
    "NativeGroupNormBackward0": _group_norm,
}
