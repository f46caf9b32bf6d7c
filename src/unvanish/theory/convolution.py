r"""Convolutions: the same maps, with one factor for every spatial mode.

A convolution has sigma_w^2 = k^2 c_in Var(w). What differs between positions is averaged over
the kernel: a spatial mode of wave number m is multiplied by chi_1 lambda_m,

    lambda_m = sum_beta v_beta cos(2 pi m beta / n),      sum_beta v_beta = 1,

with v_beta the share of the weights' variance on tap beta and n positions on a circle. Even
taps let every mode but the constant one die; a kernel with all its variance on the centre tap
(delta-orthogonal) keeps them all.

Source: Xiao, Bahri, Sohl-Dickstein, Schoenholz and Pennington (2018), sections 2.3 and 3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def sigma_w2(rms: float, in_channels: int, taps: int) -> float:
    """Return k^2 c_in Var(w) of a convolution.

    Args:
        rms: Root mean square of its weights.
        in_channels: Input channels c_in that one output channel sees (of its group).
        taps: Number of taps, k^2 for a square kernel.
    """
    return rms * rms * in_channels * taps


def mode_factors(tap_shares: Sequence[float], positions: int) -> list[float]:
    """Return lambda_m of one axis for m = 0 .. positions // 2.

    Args:
        tap_shares: Share of the variance on every tap of an odd kernel; normalised here.
        positions: Number n of positions, at least the kernel's size.

    Raises:
        ValueError: If the kernel is even, empty or larger than the axis.

    Example:
        >>> [round(f, 3) for f in mode_factors([1, 1, 1], 4)]
        [1.0, 0.333, -0.333]
        >>> mode_factors([0, 1, 0], 4)
        [1.0, 1.0, 1.0]
    """
    size = len(tap_shares)
    total = math.fsum(tap_shares)
    if size % 2 == 0 or size > positions or not total > 0.0:
        raise ValueError(
            f"tap_shares must be an odd number of shares, at most {positions} and not all zero"
        )
    ring = np.zeros(positions)
    for offset, share in enumerate(tap_shares):
        ring[(offset - size // 2) % positions] += share / total
    return [float(f) for f in np.fft.rfft(ring).real]
