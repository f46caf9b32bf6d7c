r"""Expectations over one Gaussian pre-activation, and over two that are correlated.

    E f(z),          z = sqrt(q) u,                  u ~ N(0, 1)
    E f(z_1) g(z_2), z_i ~ N(0, q), correlation c

Both are composite Gauss-Legendre rules. Activations have kinks (ReLU) or bends whose width is
of order one in z however large q is (sigmoid), where Gauss-Hermite converges slowly or not at
all. So panels end at the kinks, at a few powers of two around zero and at a few standard
deviations; inside a panel the integrand is smooth.

Every integral is taken by two rules, the second with each panel cut in two. Where they disagree,
panels are cut again until two agree, as for tanh(500 z); where none do, as at a jump that was not
named, there is no number but an error.

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
_AGREE: Final = 1e-7
"""Of the integral of |f|, by which two rules may differ."""
_SHORTEST: Final = 2e-4
"""A panel that still needs to be cut and is shorter than this holds a jump."""
_MOST_ADDED: Final = 300
_MOST_CUTS: Final = 9
_MOST_OF_TWO: Final = 120
"""Panels of two correlated numbers, whose rule has the square of as many nodes."""


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


def _cut(edges: Array, cuts: int) -> Array:
    """Return the edges of panels that are cut in two, again and again; the last axis is theirs."""
    for _ in range(cuts):
        middle = 0.5 * (edges[..., :-1] + edges[..., 1:])
        finer = np.empty((*edges.shape[:-1], 2 * edges.shape[-1] - 1))
        finer[..., ::2], finer[..., 1::2] = edges, middle
        edges = finer
    return edges


@lru_cache(maxsize=512)
def _gaussian(q: float, kinks: tuple[float, ...], cuts: int = 0) -> tuple[Array, Array]:
    """Return nodes z and weights of E f(z), z ~ N(0, q)."""
    deviation = math.sqrt(q)
    edges = np.array([*(deviation * d for d in _DEVIATIONS), *_BENDS, *kinks])
    edges = np.unique(np.clip(edges, -10.0 * deviation, 10.0 * deviation))
    z, w = _panels(_cut(edges, cuts))
    return z, w * np.exp(-0.5 * z * z / q) / math.sqrt(2.0 * math.pi * q)


class TooSteepError(ValueError):
    """A function changes too fast to be integrated: it is nearly a step."""


def expectation(f: Function, q: float, kinks: Sequence[float] = ()) -> float:
    """Return E f(z) for z ~ N(0, q).

    Args:
        f: Function of an array, elementwise.
        q: Variance, finite and not negative; 0 gives the mean of f just left and just right
            of zero, which for a kink at zero is the limit of small q.
        kinks: Where f or its slope jumps.

    Raises:
        ValueError: If the variance is negative or not finite, or f changes too fast.

    Example:
        >>> round(expectation(np.cos, 2.0), 12) == round(math.exp(-1.0), 12)
        True
    """
    if not 0.0 <= q < math.inf:
        raise ValueError(f"q must be finite and not negative, but is {q}")
    if q < 1e-24:
        return float(np.mean(f(np.array([-1e-12, 1e-12]))))
    return _agreed(f, q, tuple(kinks))[0]


def _agreed(f: Function, q: float, kinks: tuple[float, ...]) -> tuple[float, int]:
    """Return E f(z) and how often the panels had to be cut until two rules agreed.

    Raises:
        TooSteepError: If no two do.
    """
    before = math.nan
    for cuts in range(_MOST_CUTS + 1):
        z, w = _gaussian(q, kinks, cuts)
        values = w * f(z)
        found, size = float(np.sum(values)), float(np.sum(np.abs(values)))
        if not math.isfinite(found):
            return found, 0
        if abs(found - before) <= _AGREE * size:
            # As a rule the first is good enough, and what was asked for again stays the same.
            return (before, 0) if cuts == 1 else (found, cuts)
        before = found
    raise TooSteepError(
        f"the function changes too fast for the quadrature at q = {q:.3g}: two rules still differ "
        f"with {_NODES * 2**_MOST_CUTS} nodes a panel; name in kinks where it or its slope jumps"
    )


def _squared(f: Function) -> Function:
    return lambda z: f(z) ** 2


def resolved(functions: Sequence[Function], kinks: Sequence[float]) -> tuple[float, ...]:
    """Return where panels must end for the rules to follow some functions, kinks among them.

    Panels in which two rules differ are cut in two, and no others.

    Args:
        functions: Elementwise functions.
        kinks: Where they or their slopes jump.

    Raises:
        ValueError: If a panel would have to be shorter than any bend of a smooth function: there
            is a jump that was not named.

    Example:
        >>> resolved([np.tanh], ())
        ()
        >>> len(resolved([lambda z: np.tanh(500 * z)], ())) > 5
        True
    """
    fixed = np.array([*_DEVIATIONS, *_BENDS, *kinks])
    edges = np.unique(np.clip(fixed, -10.0, 10.0))
    added: list[float] = []
    while len(added) < _MOST_ADDED:
        wrong = np.zeros(len(edges) - 1, dtype=bool)
        for f in functions:
            coarse, fine = (_by_panel(f, edges, cuts) for cuts in (0, 1))
            wrong |= np.abs(coarse - fine) > _AGREE * 0.01 * np.sum(np.abs(fine))
        if not np.any(wrong):
            break
        middle = 0.5 * (edges[:-1] + edges[1:])[wrong]
        shortest = float(np.min(np.diff(edges)[wrong]))
        if shortest < _SHORTEST:
            place = float(middle[int(np.argmin(np.diff(edges)[wrong]))])
            raise ValueError(
                f"the function or its slope jumps near z = {place:.4g}: name that place in kinks"
            )
        added += middle.tolist()
        edges = np.unique(np.concatenate([edges, middle]))
    return tuple(sorted({*kinks, *added}))


def _by_panel(f: Function, edges: Array, cuts: int) -> Array:
    """Return E f(z), z ~ N(0, 1), panel by panel."""
    z, w = _panels(_cut(edges, cuts))
    values = w * np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi) * f(z)
    summed: Array = values.reshape(len(edges) - 1, -1).sum(axis=1)
    return summed


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
        ValueError: If the variance or the correlation is out of range, or f or g change too
            fast.

    Example:
        >>> round(joint_expectation(lambda z: z, lambda z: z, 2.0, 0.5), 12)
        1.0
    """
    if not 0.0 < q < math.inf:
        raise ValueError(f"q must be positive and finite, but is {q}")
    if not -1.0 <= c <= 1.0:
        raise ValueError(f"c must lie in [-1, 1], but is {c}")
    cuts = max(_agreed(_squared(one), q, tuple(kinks))[1] for one in (f, g))
    panels = (len(kinks) + len(_DEVIATIONS) + len(_BENDS)) * 2**cuts
    if panels > _MOST_OF_TWO:
        raise ValueError(
            f"the function changes too fast at q = {q:.3g} for an integral over two correlated "
            "numbers; one over each alone is as far as this rule goes"
        )
    z, w = _gaussian(q, tuple(kinks), cuts)
    variance = q * (1.0 - c * c)
    if variance < 1e-14 * q:
        return float(np.sum(w * f(z) * g(math.copysign(1.0, c) * z)))
    deviation, centre = math.sqrt(variance), (c * z)[:, None]
    fixed = np.array([*_BENDS, *kinks])
    low, high = centre - 10.0 * deviation, centre + 10.0 * deviation
    edges = np.concatenate(
        [np.clip(fixed, low, high), centre + deviation * np.array(_DEVIATIONS)], axis=1
    )
    z_2, w_2 = _panels(_cut(np.sort(edges, axis=1), cuts))
    density = np.exp(-0.5 * (z_2 - centre) ** 2 / variance) / math.sqrt(2.0 * math.pi * variance)
    inner = np.sum(w_2 * density * g(z_2), axis=1)
    return float(np.sum(w * f(z) * inner))
