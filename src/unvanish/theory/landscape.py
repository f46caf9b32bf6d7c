r"""How much gradient is left in a plain network, over its depth and the scale of its weights.

For data of unit variance the first pre-activations have q = sigma_w^2 + sigma_b^2. From there the
length map is followed layer by layer, and the gradient's norm changes by sqrt(chi_1(q)) at each:
the sum of their logarithms over d layers is the map's value at depth d. Where chi_1 = 1 at the
length the network settles at runs the edge of chaos.

Source: Poole et al. (2016); Schoenholz et al. (2017), whose figure 5 sets such a map beside
networks that were trained.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from unvanish.theory.activations import Activation
from unvanish.theory.criticality import critical_point, half_stable_point
from unvanish.theory.initialisation import initialisation
from unvanish.theory.mean_field import second_moment, slope_moment
from unvanish.theory.quadrature import Array

SMALLEST_GAIN: Final = 0.25
LARGEST_GAIN: Final = 16.0
"""Weights scales that are shown: from below PyTorch's default to beyond sigmoid's edge."""

_NAMED: Final = ("default", "xavier", "he")
_TABLE: Final = np.geomspace(1e-12, 1e9, 631)
_SLOPE_FLOOR: Final = 1e-300


@dataclass(frozen=True, slots=True)
class Landscape:
    """The map of one activation.

    Attributes:
        activation: Its name.
        sigma_b2: Variance of the biases: 0, or what the edge of chaos needs.
        gains: sigma_w of every column, growing.
        log10_gain: For every column the decades by which the gradient's norm changes over
            1, 2, .. layers.
        edge: sigma_w of the edge of chaos; ``nan`` where there is none.
        edge_length: Length of the pre-activations there.
        named: Name to sigma_w of the usual initialisations.
    """

    activation: str
    sigma_b2: float
    gains: tuple[float, ...]
    log10_gain: tuple[tuple[float, ...], ...]
    edge: float
    edge_length: float
    named: dict[str, float]

    @property
    def depth(self) -> int:
        """Layers of the deepest network in the map."""
        return len(self.log10_gain[0])


def landscape(phi: Activation, depth: int, columns: int = 97, width: int = 256) -> Landscape:
    """Return the map of an activation.

    The moments are read from a table over lengths; they are good to about 0.1 %.

    Args:
        phi: The activation.
        depth: Layers of the deepest network, at least 1.
        columns: Weight scales, at least 2.
        width: Units of a layer, for the named initialisations.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> from unvanish.theory.activations import activation
        >>> found = landscape(activation("relu"), 30)
        >>> round(found.edge, 4), found.depth
        (1.4142, 30)
    """
    if depth < 1 or columns < 2:
        raise ValueError(
            f"depth must be at least 1 and columns at least 2, but they are {depth} and {columns}"
        )
    point = critical_point(phi) or half_stable_point(phi)
    sigma_b2 = point.sigma_b2 if point is not None else 0.0
    gains = np.geomspace(SMALLEST_GAIN, LARGEST_GAIN, columns)
    squares = np.array([second_moment(phi, float(q)) for q in _TABLE])
    slopes = np.array([slope_moment(phi, float(q)) for q in _TABLE])
    sigma_w2 = gains**2
    q, total, rows = sigma_w2 + sigma_b2, np.zeros(columns), []
    for _ in range(depth):
        chi = sigma_w2 * _read(slopes, q)
        total = total + 0.5 * np.log10(np.maximum(chi, _SLOPE_FLOOR))
        rows.append(total)
        q = np.clip(sigma_w2 * _read(squares, q) + sigma_b2, _TABLE[0], _TABLE[-1])
    named = {name: _gain(name, phi, width) for name in _NAMED}
    return Landscape(
        activation=phi.name,
        sigma_b2=sigma_b2,
        gains=tuple(float(g) for g in gains),
        log10_gain=tuple(tuple(float(v) for v in column) for column in np.array(rows).T),
        edge=point.gain if point is not None else math.nan,
        edge_length=point.q if point is not None else math.nan,
        named=named,
    )


def _gain(name: str, phi: Activation, width: int) -> float:
    return math.sqrt(initialisation(name, phi, n_in=width).sigma_w2)


def _read(table: Array, q: Array) -> Array:
    """Interpolate a table of positive moments, straight in both logarithms."""
    logs = np.log(np.maximum(table, _SLOPE_FLOOR))
    found: Array = np.exp(np.interp(np.log(q), np.log(_TABLE), logs))
    return found
