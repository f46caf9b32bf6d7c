"""Do the units of a layer differ? Rows of a weight matrix that hold the same numbers."""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

MAX_ROWS: Final = 512
MAX_COLUMNS: Final = 512
SLACK: Final = 2e-6
"""How far equal rows may lie apart, over the largest entry: 16 roundings of float32.

Equal units get equal gradients up to the order in which a matrix product adds.
"""


def distinct_fraction(weight: Tensor) -> float:
    """Return the share of rows that differ from those of every earlier row.

    Rows that are all zero are left out: a pruned or padded unit is silent, not the twin of
    another. Of many rows and columns some are looked at, picked at random but the same ones
    at every look.

    Args:
        weight: Weights with the units along the first axis; of a vector, each entry is a row.

    Returns:
        A share in (0, 1]; ``nan`` for values that are not finite, and where fewer than two
        rows hold anything.
    """
    if weight.layout is not torch.strided or not weight.is_floating_point():
        return math.nan
    if weight.ndim < 1 or weight.shape[0] < 2 or weight.numel() == 0:
        return math.nan
    with torch.no_grad():
        rows = _thinned(weight.detach().reshape(weight.shape[0], -1))
        sizes = rows.abs().amax(1)
        largest = float(sizes.amax())
        if not 0.0 < largest < math.inf:
            return math.nan
        rows = rows[sizes > 0]
        count = rows.shape[0]
        if count < 2:
            return math.nan
        rows = rows.float() if rows.dtype.itemsize < 4 else rows
        return (count - _repeats(rows, SLACK * largest)) / count


def fingerprint(weight: Tensor) -> float:
    """Project a weight onto a fixed random direction, over its norm.

    The same numbers give the same value, up to rounding; independent ones are apart by about 1.
    Of many rows and columns the same ones are looked at every time.

    Args:
        weight: Weights of two axes or more.

    Returns:
        The projection; ``nan`` for zeros and for values that are not finite.
    """
    if weight.layout is not torch.strided or not weight.is_floating_point() or not weight.numel():
        return math.nan
    with torch.no_grad():
        rows = _thinned(weight.detach().reshape(weight.shape[0], -1)).double()
        direction = torch.randn(rows.shape, generator=_generator(), dtype=rows.dtype)
        projection, norm = (rows * direction.to(rows.device)).sum(), rows.norm()
        value = float(projection / norm)
    return value if math.isfinite(value) else math.nan


def _repeats(rows: Tensor, slack: float) -> int:
    """Count the rows that equal their neighbour once all are sorted by a fingerprint.

    Equal rows have equal fingerprints and come to stand side by side; whether neighbours are
    equal is then seen entry by entry.
    """
    direction = torch.randn(rows.shape[1], generator=_generator())
    rows = rows[(rows @ direction.to(rows)).argsort()]
    apart = (rows[1:] - rows[:-1]).abs().amax(1)
    return int(torch.count_nonzero(apart <= slack))


def _generator() -> torch.Generator:
    """Return random numbers of our own: those of the run must not be touched."""
    return torch.Generator().manual_seed(0)


def _thinned(rows: Tensor) -> Tensor:
    """Pick rows and columns at random, one out of every so many, the same ones every time."""
    for dim, most in ((0, MAX_ROWS), (1, MAX_COLUMNS)):
        if rows.shape[dim] > most:
            places = torch.arange(most) + torch.rand(most, generator=_generator())
            chosen = (places * (rows.shape[dim] / most)).long().clamp_max(rows.shape[dim] - 1)
            rows = rows.index_select(dim, chosen.unique().to(rows.device))
    return rows
