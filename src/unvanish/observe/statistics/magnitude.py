"""Sizes of tensors that must not vanish with the gradient they measure.

Squaring 1e-25 in float32 gives an exact, false zero. Norms here accumulate in float64
and, where even that underflows, are taken of a rescaled copy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

LOG10_2 = math.log10(2.0)
_SMALLEST_SAFE_NORM = 1e-140
"""Below this a float64 sum of squares may have lost entries (1e-154 squared is zero)."""


def dense_values(tensor: Tensor) -> Tensor:
    """Return the stored numbers of a tensor as a plain real tensor, without a copy.

    Sparse gradients give the values of the touched rows, complex numbers their real and
    imaginary parts.
    """
    tensor = tensor.detach()
    if tensor.layout is torch.sparse_coo:
        tensor = tensor.coalesce().values()
    elif tensor.layout is not torch.strided:
        tensor = tensor.values()
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor)
    return tensor


def norms(tensors: Sequence[Tensor]) -> list[float]:
    """Return the Euclidean norm of each tensor, accumulated in float64, with one transfer.

    Args:
        tensors: Dense real tensors of any floating type, all on one device.

    Returns:
        One float each; ``nan`` or ``inf`` where the tensor holds such values.
    """
    if not tensors:
        return []
    results: Sequence[Tensor]
    try:
        results = torch._foreach_norm(list(tensors), 2, dtype=torch.float64)
    except (AttributeError, RuntimeError, TypeError):  # private; absent on some backends
        results = [torch.linalg.vector_norm(t, dtype=torch.float64) for t in tensors]
    values: list[float] = torch.stack([r.reshape(()) for r in results]).tolist()
    return values


def log10_norm(tensor: Tensor, norm: float | None = None) -> float:
    """Return log10 of the Euclidean norm; ``-inf`` only for an exact zero.

    Args:
        tensor: Dense real tensor.
        norm: Its norm, where already known from `norms`.

    Returns:
        Decades; ``nan`` if the tensor holds NaN or infinity.
    """
    if norm is None:
        (norm,) = norms([tensor])
    if math.isfinite(norm) and norm > _SMALLEST_SAFE_NORM:
        return math.log10(norm)
    if tensor.numel() == 0:
        return -math.inf
    if not math.isfinite(norm) and not bool(torch.isfinite(tensor).all()):
        return math.nan
    largest = float(tensor.abs().amax())
    if largest == 0.0:
        return -math.inf
    _, exponent = math.frexp(largest)
    (scaled,) = norms([scale_by_power_of_two(tensor, -exponent)])
    return math.log10(scaled) + exponent * LOG10_2


def scale_by_power_of_two(tensor: Tensor, exponent: int) -> Tensor:
    """Multiply exactly by 2**exponent in float64, in steps that stay inside its range."""
    result = tensor.double()
    while exponent:
        step = max(-1000, min(1000, exponent))
        result = result * math.ldexp(1.0, step)
        exponent -= step
    return result
