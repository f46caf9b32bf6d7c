"""A few entries that stand for a whole tensor, and sums over what was put end to end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from unvanish.observe.statistics.magnitude import dense_values

WEIGHT_SAMPLE: Final = 256
"""Entries of a parameter that are looked at where not all are."""

_PLAIN: Final = (Tensor, torch.nn.Parameter)

ROWS: Final = 16
FEATURES: Final = 64
"""Samples of a batch, and entries of each, that are looked at where not all are."""


def local(tensor: Tensor) -> Tensor:
    """Return the plain numbers that this process holds of a tensor, detached, without a copy."""
    if type(tensor) in _PLAIN and tensor.layout is torch.strided and not tensor.dtype.is_complex:
        return tensor.detach() if tensor.requires_grad else tensor
    to_local = getattr(tensor, "to_local", None)
    return dense_values(tensor if to_local is None else to_local())


def spaced(size: int, most: int) -> tuple[int, int]:
    """Return how many of `size` entries are taken, and how far apart they are.

    The distance is odd, so that it does not fall in with the powers of two of which shapes are
    made, and always read one column.
    """
    if size <= most:
        return size, 1
    step = size // most
    return most, step if step % 2 else max(1, step - 1)


def strided(tensor: Tensor) -> Tensor:
    """Return a view of up to `WEIGHT_SAMPLE` entries of a tensor, evenly spaced."""
    taken, step = spaced(tensor.numel(), WEIGHT_SAMPLE)
    if tensor.is_contiguous():
        return tensor.as_strided((taken,), (step,))
    return tensor.reshape(-1)[::step][:taken]


def rows(tensor: Tensor) -> Tensor:
    """Return a copy of up to `ROWS` rows and `FEATURES` entries of each: dimension 0 is the batch.

    Args:
        tensor: Floating-point tensor of one dimension or more, not empty.
    """
    batch = tensor.shape[0]
    block = tensor.numel() // batch
    taken, apart = spaced(batch, ROWS)
    features, step = spaced(block, FEATURES)
    if tensor.is_contiguous():
        return tensor.as_strided((taken, features), (block * apart, step)).clone()
    thin = tensor[: taken * apart : apart]
    left = FEATURES
    for axis in range(tensor.ndim - 1, 0, -1):
        share = max(1, round(left ** (1 / axis))) if axis > 1 else left
        count, step = spaced(tensor.shape[axis], share)
        thin = thin.narrow(axis, 0, (count - 1) * step + 1)
        thin = thin[(slice(None),) * axis + (slice(None, None, step),)]
        left = max(1, left // count)
    return thin.reshape(taken, -1).clone()


def norms(tensors: Sequence[Tensor], dtype: torch.dtype) -> list[Tensor]:
    """Return the Euclidean norm of every tensor, in one call where torch has one.

    Args:
        tensors: Plain tensors; an empty one has the norm 0.
        dtype: In which squares are added up.
    """
    if not tensors:
        return []
    try:
        found: list[Tensor] = list(torch._foreach_norm(list(tensors), 2, dtype=dtype))
        return found
    except (AttributeError, TypeError, RuntimeError):  # an older torch, or an odd kind of tensor
        return [torch.linalg.vector_norm(t, dtype=dtype) for t in tensors]


def sums_by_segment(values: Tensor, offsets: Tensor) -> Tensor:
    """Add up the stretches of numbers that were put end to end.

    Args:
        values: (N,) or (N, k).
        offsets: Where each stretch begins, and N.

    Returns:
        (stretches,) or (stretches, k).
    """
    return torch.segment_reduce(values, "sum", offsets=offsets, initial=0.0)


def widest(device: torch.device) -> torch.dtype:
    """Return the longest floating-point type that a device computes in."""
    return torch.float32 if device.type == "mps" else torch.float64
