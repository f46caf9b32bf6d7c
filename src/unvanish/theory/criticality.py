r"""The edge of chaos: weight and bias variances at which the gradient neither dies nor explodes.

chi_1 = 1 is a curve, best run through by the length q at which the network then stands:

    sigma_w^2(q) = 1 / E phi'(z)^2,     sigma_b^2(q) = q - sigma_w^2(q) E phi(z)^2,   z ~ N(0, q),

as far as sigma_b^2 comes out not negative. ReLU and its kin have one point, sigma_w^2 =
2 / (1 + a^2) with no bias, for every q; softplus has none.

Source: Poole et al. (2016); Hayou, Doucet and Rousseau (2019), section 3, for the curve; Roberts,
Yaida and Hanin (2022), section 5.3, for the half-stable points of GELU and SiLU.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from scipy import optimize

from unvanish.theory.activations import Activation
from unvanish.theory.mean_field import chi_q, second_moment, slope_moment

_TRIED: Final = (1e-4, 1.0, 1e4)
_GRID: Final = tuple(float(q) for q in np.geomspace(1e-8, 1e4, 241))


@dataclass(frozen=True, slots=True)
class CriticalPoint:
    """One point of the edge of chaos.

    Attributes:
        sigma_w2: n_in Var(W_ij).
        sigma_b2: Var(b).
        q: Length of the pre-activations there.
    """

    sigma_w2: float
    sigma_b2: float
    q: float

    @property
    def gain(self) -> float:
        """sigma_w, by which weights of variance 1 / n_in are multiplied."""
        return math.sqrt(self.sigma_w2)


def edge_of_chaos(phi: Activation, q: float) -> CriticalPoint:
    """Return the point of the curve at one length.

    Args:
        phi: The activation.
        q: Length, positive.

    Returns:
        The point; its ``sigma_b2`` is negative where there is none at this length.

    Raises:
        ValueError: If the length is not positive, or the slope is zero there.

    Example:
        >>> from unvanish.theory.activations import activation
        >>> point = edge_of_chaos(activation("tanh"), 0.57005)
        >>> round(point.sigma_w2, 4), round(point.sigma_b2, 4)
        (1.761, 0.05)
    """
    if not 0.0 < q < math.inf:
        raise ValueError(f"q must be positive and finite, but is {q}")
    slopes = slope_moment(phi, q)
    if not slopes > 0.0:
        raise ValueError(f"{phi} has slope zero at the length {q:.3g}: no weights make up for that")
    sigma_w2 = 1.0 / slopes
    return CriticalPoint(sigma_w2, q - sigma_w2 * second_moment(phi, q), q)


def critical_point(phi: Activation, sigma_b2: float = 0.0) -> CriticalPoint | None:
    """Return the critical weight variance for a given bias variance.

    Args:
        phi: The activation.
        sigma_b2: Var(b), not negative.

    Returns:
        The point with the smallest length; without bias and for phi(0) = 0 that is the limit
        q = 0, where sigma_w = 1 / phi'(0). None where there is none.

    Raises:
        ValueError: If the bias variance is negative.

    Example:
        >>> from unvanish.theory.activations import activation
        >>> critical_point(activation("tanh"), 0.05).gain  # doctest: +ELLIPSIS
        1.3270...
        >>> critical_point(activation("softplus")) is None
        True
    """
    if not sigma_b2 >= 0.0:
        raise ValueError(f"sigma_b2 must not be negative, but is {sigma_b2}")
    if phi.is_homogeneous:
        return None if sigma_b2 else CriticalPoint(1.0 / slope_moment(phi, 1.0), 0.0, 1.0)
    origin = float(phi.value(np.zeros(1))[0])
    slopes = slope_moment(phi, 0.0)
    if not any(slope_moment(phi, q) > 0.0 for q in _TRIED):
        return None
    if sigma_b2 == 0.0 and abs(origin) < 1e-12 and slopes > 0 and _stands_at_zero(phi):
        return CriticalPoint(1.0 / slopes, 0.0, 0.0)

    def excess(q: float) -> float:
        if not slope_moment(phi, q) > 0.0:
            return math.nan
        return edge_of_chaos(phi, q).sigma_b2 - sigma_b2

    for low, high in pairwise(_GRID):
        if excess(low) < 0.0 <= excess(high) or excess(low) > 0.0 >= excess(high):
            q = float(optimize.brentq(excess, low, high, xtol=1e-14, rtol=1e-13))
            point = edge_of_chaos(phi, q)
            return CriticalPoint(point.sigma_w2, max(sigma_b2, 0.0), q)
    return None


def _stands_at_zero(phi: Activation) -> bool:
    """Whether a short signal does not grow at sigma_w = 1 / phi'(0), so that q = 0 attracts it."""
    q = 1e-4
    return second_moment(phi, q) / slope_moment(phi, 0.0) <= q * (1.0 + 1e-9)


def half_stable_point(phi: Activation) -> CriticalPoint | None:
    """Return the point of the curve where the length is critical, too: chi_1 = chi_q = 1.

    GELU, SiLU and Mish have one. There the length neither dies out nor grows, to first order.

    Example:
        >>> from unvanish.theory.activations import activation
        >>> round(half_stable_point(activation("gelu")).q, 5)
        3.56155
    """
    if phi.is_homogeneous:
        return critical_point(phi)

    def excess(q: float) -> float:
        if not slope_moment(phi, q) > 0.0:
            return math.nan
        return chi_q(phi, q, 1.0 / slope_moment(phi, q)) - 1.0

    for low, high in pairwise(_GRID):
        if low < 1e-4:
            continue
        if excess(low) * excess(high) < 0.0:
            q = float(optimize.brentq(excess, low, high, xtol=1e-14, rtol=1e-13))
            point = edge_of_chaos(phi, q)
            if point.sigma_b2 >= 0.0:
                return point
    return None
