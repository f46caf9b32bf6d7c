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
_CHUNK = 2**16
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


def chunks(tensor: Tensor) -> tuple[Tensor, ...]:
    """Cut a tensor into flat pieces, small enough that a float64 copy of one costs nothing.

    PyTorch reduces in another type by converting the whole tensor first: twice its memory.
    """
    return torch.split(tensor.reshape(-1), _CHUNK)


def norm64(tensor: Tensor) -> Tensor:
    """Return the Euclidean norm, accumulated in float64, as a 0-d tensor on the device."""
    if tensor.numel() <= _CHUNK:
        whole: Tensor = torch.linalg.vector_norm(tensor, dtype=torch.float64)
        return whole
    parts = [torch.linalg.vector_norm(part, dtype=torch.float64) for part in chunks(tensor)]
    joint: Tensor = torch.linalg.vector_norm(torch.stack(parts))
    return joint


def mean64(tensor: Tensor) -> Tensor:
    """Return the mean, accumulated in float64, as a 0-d tensor on the device."""
    if tensor.numel() <= _CHUNK:
        return tensor.mean(dtype=torch.float64)
    return torch.stack([p.sum(dtype=torch.float64) for p in chunks(tensor)]).sum() / tensor.numel()


def dot64(a: Tensor, b: Tensor) -> Tensor:
    """Return the inner product of two tensors of one shape, accumulated in float64."""
    pairs = zip(chunks(a), chunks(b), strict=True)
    return torch.stack([x.double().dot(y.double()) for x, y in pairs]).sum()


def norms_along(tensor: Tensor, keep: Sequence[int]) -> Tensor:
    """Return the Euclidean norms over all axes but some, accumulated in float64.

    Args:
        tensor: Real tensor of any size.
        keep: The axes that stay, in rising order.
    """
    others = tuple(axis for axis in range(tensor.ndim) if axis not in keep)
    if not others:
        return tensor.abs().double()
    if tensor.numel() <= _CHUNK or tensor.shape[0] < 2:
        whole: Tensor = torch.linalg.vector_norm(tensor, dim=others, dtype=torch.float64)
        return whole
    rows = max(1, _CHUNK * tensor.shape[0] // tensor.numel())
    parts = [
        torch.linalg.vector_norm(part, dim=others, dtype=torch.float64)
        for part in tensor.split(rows)
    ]
    if 0 in keep:
        return torch.cat(parts)
    joint: Tensor = torch.linalg.vector_norm(torch.stack(parts), dim=0)
    return joint


def norms(tensors: Sequence[Tensor]) -> list[float]:
    """Return the Euclidean norm of each tensor, accumulated in float64, with one transfer.

    Args:
        tensors: Dense real tensors of any floating type, all on one device.

    Returns:
        One float each; ``nan`` or ``inf`` where the tensor holds such values.
    """
    if not tensors:
        return []
    results = {i: norm64(t) for i, t in enumerate(tensors) if t.numel() > _CHUNK}
    small = [i for i in range(len(tensors)) if i not in results]
    if small:
        results.update(zip(small, _norms_at_once([tensors[i] for i in small]), strict=True))
    values: list[float] = torch.stack([results[i] for i in range(len(tensors))]).tolist()
    return values


def _norms_at_once(tensors: list[Tensor]) -> Sequence[Tensor]:
    try:
        return torch._foreach_norm(tensors, 2, dtype=torch.float64)
    except (AttributeError, RuntimeError, TypeError):  # private; absent on some backends
        return [torch.linalg.vector_norm(t, dtype=torch.float64) for t in tensors]


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
