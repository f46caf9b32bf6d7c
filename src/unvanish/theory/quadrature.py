r"""Expectations over one Gaussian pre-activation, and over two that are correlated.

    E f(z),          z = sqrt(q) u,                  u ~ N(0, 1)
    E f(z_1) g(z_2), z_i ~ N(0, q), correlation c

Both are composite Gauss-Legendre rules. Activations have kinks (ReLU) or bends whose width is
of order one in z however large q is (sigmoid), where Gauss-Hermite converges slowly or not at
all. So panels end at the kinks, at a few powers of two around zero and at a few standard
deviations; inside a panel the integrand is smooth.

Source: Golub and Welsch (1969) for the nodes; the placing of the panels is ours and is tested
against closed forms and Monte Carlo.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Function = Callable[[Array], Array]

_BENDS: Final = tuple(s * b for b in (0.5, 1.0, 2.0, 4.0, 8.0, 16.0) for s in (-1.0, 1.0))
_DEVIATIONS: Final = (-10.0, -6.0, -4.0, -2.5, -1.0, 0.0, 1.0, 2.5, 4.0, 6.0, 10.0)
_NODES: Final = 16


@lru_cache(maxsize=1)
def _legendre() -> tuple[Array, Array]:
    x, w = np.polynomial.legendre.leggauss(_NODES)
    return x, w


def _panels(edges: Array) -> tuple[Array, Array]:
    """Return nodes and weights on consecutive panels; the last axis of both is the nodes'."""
    x, w = _legendre()
    low, high = edges[..., :-1, None], edges[..., 1:, None]
    half = 0.5 * (high - low)
    nodes = 0.5 * (high + low) + half * x
    shape = (*edges.shape[:-1], -1)
    return nodes.reshape(shape), (half * w).reshape(shape)


@lru_cache(maxsize=512)
def _gaussian(q: float, kinks: tuple[float, ...]) -> tuple[Array, Array]:
    """Return nodes z and weights of E f(z), z ~ N(0, q)."""
    deviation = math.sqrt(q)
    edges = np.array([*(deviation * d for d in _DEVIATIONS), *_BENDS, *kinks])
    edges = np.unique(np.clip(edges, -10.0 * deviation, 10.0 * deviation))
    z, w = _panels(edges)
    return z, w * np.exp(-0.5 * z * z / q) / math.sqrt(2.0 * math.pi * q)


def expectation(f: Function, q: float, kinks: Sequence[float] = ()) -> float:
    """Return E f(z) for z ~ N(0, q).

    Args:
        f: Function of an array, elementwise.
        q: Variance, finite and not negative; 0 gives the mean of f just left and just right
            of zero, which for a kink at zero is the limit of small q.
        kinks: Where f or its slope jumps.

    Raises:
        ValueError: If the variance is negative or not finite.

    Example:
        >>> round(expectation(np.cos, 2.0), 12) == round(math.exp(-1.0), 12)
        True
    """
    if not 0.0 <= q < math.inf:
        raise ValueError(f"q must be finite and not negative, but is {q}")
    if q < 1e-24:
        return float(np.mean(f(np.array([-1e-12, 1e-12]))))
    z, w = _gaussian(q, tuple(kinks))
    return float(np.sum(w * f(z)))


def joint_expectation(
    f: Function, g: Function, q: float, c: float, kinks: Sequence[float] = ()
) -> float:
    """Return E f(z_1) g(z_2) for two N(0, q) with correlation c.

    The inner rule runs over z_2 given z_1, N(c z_1, q (1 - c^2)), with panels that end at the
    kinks of g and at the standard deviations of that narrower Gaussian.

    Args:
        f: Function of the first.
        g: Function of the second.
        q: Their variance, positive.
        c: Their correlation, in [-1, 1].
        kinks: Where f, g or their slopes jump.

    Raises:
        ValueError: If the variance or the correlation is out of range.

    Example:
        >>> round(joint_expectation(lambda z: z, lambda z: z, 2.0, 0.5), 12)
        1.0
    """
    if not 0.0 < q < math.inf:
        raise ValueError(f"q must be positive and finite, but is {q}")
    if not -1.0 <= c <= 1.0:
        raise ValueError(f"c must lie in [-1, 1], but is {c}")
    z, w = _gaussian(q, tuple(kinks))
    variance = q * (1.0 - c * c)
    if variance < 1e-14 * q:
        return float(np.sum(w * f(z) * g(math.copysign(1.0, c) * z)))
    deviation, centre = math.sqrt(variance), (c * z)[:, None]
    fixed = np.array([*_BENDS, *kinks])
    low, high = centre - 10.0 * deviation, centre + 10.0 * deviation
    edges = np.concatenate(
        [np.clip(fixed, low, high), centre + deviation * np.array(_DEVIATIONS)], axis=1
    )
    z_2, w_2 = _panels(np.sort(edges, axis=1))
    density = np.exp(-0.5 * (z_2 - centre) ** 2 / variance) / math.sqrt(2.0 * math.pi * variance)
    inner = np.sum(w_2 * density * g(z_2), axis=1)
    return float(np.sum(w * f(z) * inner))
