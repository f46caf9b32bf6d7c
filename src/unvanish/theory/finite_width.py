r"""What width does to a plain network's gradient, where mean-field theory alone is not enough.

Mean-field theory is exact for infinitely wide layers. At a width n two corrections of order 1/n
a layer can grow with depth, and do so where a signal stands at no stable length (He weights with
GELU, softplus or Mish).

**The length scatters.** One sample's sigma_w^2 |phi|^2 / n has the relative variance
(E phi^4 / (E phi^2)^2 - 1) / n, which chi_q carries on to the next layer. Two samples scatter
together as far as their phi^2 are correlated, which follows from the correlation map.

**The gradient remembers the signal.** W enters z = W phi + b as well as W^T delta. Given z,

    W^T delta = phi <delta, z - b> / |phi|^2 + W'^T delta,

W' fresh and at right angles to phi. With e = E |delta|^2, s = E <delta, z>^2 per layer, all moments
at the layer below and f = sigma_w^2 E phi^2 / (sigma_w^2 E phi^2 + sigma_b^2) = 1 - sigma_b^2 / q,

    s' = f^2 s + f (1 - f) q e                                         <delta, z - b>^2
    e_below = sigma_w^2 (E phi'^2 - a) e + a s' / E phi^2
    s_below = r^2 s' + sigma_w^2 (E (z phi')^2 - r^2 E phi^2) e
    a = E (phi phi')^2 / (n E phi^2),    r = E z phi phi' / E phi^2

For ReLU and its kin <delta, z> is conserved (Euler), r = 1, and the correction of e is nothing.
For softplus and a vanishing gradient s outlives e, and becomes most of it.

Source: our derivation, by conditioning on the forward pass as Yang (2020) does for the limit; it is
tested by Monte Carlo, and beside measured networks in results/theory.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from unvanish.theory.activations import Activation
from unvanish.theory.quadrature import Array, Function, expectation, joint_expectation

_LENGTHS: Final = np.concatenate(
    [np.geomspace(1e-60, 1e-10, 100, endpoint=False), np.geomspace(1e-10, 1e9, 361)]
)
"""From far below what a shrinking signal comes to: at tiny lengths every activation is a line."""
_FLOOR: Final = 1e-300


@dataclass(frozen=True, slots=True)
class FiniteWidth:
    """The gradient of networks of one width.

    Attributes:
        log10_gain: log10 of |delta_0| / |delta_L| of a batch, averaged over networks.
        deviation: Its standard deviation between networks.
    """

    log10_gain: float
    deviation: float


def finite_width_gain(
    phi: Activation,
    sigma_w2: float,
    depth: int,
    width: int,
    sigma_b2: float = 0.0,
    *,
    batch: int = 32,
    networks: int = 200,
    seed: int = 0,
) -> FiniteWidth:
    """Return what a plain network does to the gradient of a random direction at its output.

    The data are independent entries of variance 1, as many as a layer has units. No network is
    made: only the length of every sample is drawn, layer by layer.

    Args:
        phi: The activation.
        sigma_w2: n_in Var(W_ij).
        depth: Number of layers between the two pre-activations.
        width: Units n of every layer.
        sigma_b2: Var(b).
        batch: Samples over which the energy is averaged.
        networks: Networks over which its logarithm is averaged.
        seed: Seed of the draws.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> from unvanish.theory.activations import activation
        >>> abs(finite_width_gain(activation("relu"), 2.0, 30, 256).log10_gain) < 0.01
        True
    """
    if min(depth, batch) < 1 or min(width, networks) < 2 or not sigma_w2 > 0.0 <= sigma_b2:
        raise ValueError(
            "depth and batch must be at least 1, width and networks at least 2, sigma_w2 "
            f"positive and sigma_b2 not negative, but they are {depth}, {batch}, {width}, "
            f"{networks}, {sigma_w2} and {sigma_b2}"
        )
    moments = _Moments(phi)
    together = _correlations(phi, sigma_w2, sigma_b2, depth)
    draws = np.random.default_rng(seed)
    shape = (networks, batch)
    q = sigma_w2 * (1.0 + draws.normal(size=shape) * math.sqrt(2.0 / width)) + sigma_b2
    lengths = []
    for shared in together:
        lengths.append(q)
        square = moments.square(q)
        variance = np.maximum(moments.fourth(q) / square**2 - 1.0, 0.0) / width
        common, own = draws.normal(size=(networks, 1)), draws.normal(size=shape)
        noise = math.sqrt(shared) * common + math.sqrt(1.0 - shared) * own
        scattered = np.exp(noise * np.sqrt(variance) - 0.5 * variance)
        q = np.clip(sigma_w2 * square * scattered + sigma_b2, _LENGTHS[0], _LENGTHS[-1])
    energy, along, logs = np.ones(shape), q, np.zeros(networks)
    for q in reversed(lengths):
        square = moments.square(q)
        above = sigma_w2 * square + sigma_b2
        free = sigma_w2 * square / above
        along = free**2 * along + free * (1.0 - free) * above * energy
        a = moments.both(q) / (width * square)
        r = moments.turned(q) / square
        rest = np.maximum(moments.moved(q) - r**2 * square, 0.0)
        energy, along = (
            sigma_w2 * np.maximum(moments.slope(q) - a, 0.0) * energy + a * along / square,
            r**2 * along + sigma_w2 * rest * energy,
        )
        size = np.maximum(energy.mean(axis=1, keepdims=True), _FLOOR)  # lest it underflow
        energy, along, logs = energy / size, along / size, logs + 0.5 * np.log10(size[:, 0])
    return FiniteWidth(float(logs.mean()), float(logs.std(ddof=1)))


class _Moments:
    """Moments of one activation, read from tables over lengths."""

    def __init__(self, phi: Activation) -> None:
        value, slope = phi.value, phi.slope
        self.square = _table(phi, lambda z: value(z) ** 2)
        self.fourth = _table(phi, lambda z: value(z) ** 4)
        self.slope = _table(phi, lambda z: slope(z) ** 2)
        self.both = _table(phi, lambda z: (value(z) * slope(z)) ** 2)
        self.turned = _table(phi, lambda z: z * value(z) * slope(z))
        self.moved = _table(phi, lambda z: (z * slope(z)) ** 2)


def _table(phi: Activation, f: Function) -> Function:
    """Return E f(z) as a function of the length, straight in both logarithms."""
    found = [max(expectation(f, float(q), phi.kinks), _FLOOR) for q in _LENGTHS]
    lengths, logs = np.log(_LENGTHS), np.log(found)

    def read(q: Array) -> Array:
        moment: Array = np.exp(np.interp(np.log(q), lengths, logs))
        return moment

    return read


def _correlations(phi: Activation, sigma_w2: float, sigma_b2: float, depth: int) -> list[float]:
    """Return how far two samples' lengths scatter together at every layer."""

    def squared(z: Array) -> Array:
        square: Array = phi.value(z) ** 2
        return square

    q, found = sigma_w2 + sigma_b2, []
    c = sigma_b2 / q
    for _ in range(depth):
        square = expectation(squared, q, phi.kinks)
        variance = expectation(lambda z: squared(z) ** 2, q, phi.kinks) - square**2
        joint = joint_expectation(squared, squared, q, c, phi.kinks) - square**2
        found.append(min(max(joint / variance, 0.0), 1.0) if variance > _FLOOR else 1.0)
        inner = joint_expectation(phi.value, phi.value, q, c, phi.kinks)
        q = sigma_w2 * square + sigma_b2
        if not _LENGTHS[0] < q < _LENGTHS[-1]:
            return found + [found[-1]] * (depth - len(found))
        c = min((sigma_w2 * inner + sigma_b2) / q, 1.0)
    return found
