r"""Shaped activations: constants by which a deep plain network behaves like a shallow one.

The activation is replaced by

    phi_hat(x) = s (phi(a x + b) + c)

with constants solved for at the length q = 1, for a chain of D layers:

- DKS:          E phi_hat^2 = 1, V'(1) = 1, E phi_hat = 0, C'(1) = zeta^(1/D)
- TAT, smooth:  E phi_hat^2 = 1, V'(1) = 1, C'(1) = 1, C''(1) = tau / D
- TAT, leaky:   LeakyReLU with s = sqrt(2 / (1 + slope^2)), whose slope makes inputs at right
                angles come out with the correlation eta

The constants can be folded into the weights of a network that keeps its activation:
W <- a s W and b <- b_shift + a s c (sum of W's rows), but for the first and the last layer.

Source: Martens, Ballard, Desjardins, Swirszcz, Dalibard, Sohl-Dickstein and Schoenholz (2021) for
DKS; Zhang, Botev and Martens (2022) for TAT.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import optimize

from unvanish.theory.activations import Activation, leaky_relu
from unvanish.theory.quadrature import Array, expectation

_STARTS: Final = tuple((a, b) for a in (0.15, 0.3, 0.6, 1.0) for b in (0.5, 0.2, 0.0, 1.2, -0.5))

_WIDEST: Final = 15.0  # of a constant or its logarithm, on the way to a solution


@dataclass(frozen=True, slots=True)
class Shape:
    """Constants of phi_hat(x) = output_scale (phi(input_scale x + input_shift) + output_shift)."""

    input_scale: float
    input_shift: float
    output_shift: float
    output_scale: float

    def applied_to(self, phi: Activation) -> Activation:
        """Return the shaped activation."""
        a, b, c, s = self.input_scale, self.input_shift, self.output_shift, self.output_scale
        return Activation(
            f"shaped {phi.name}",
            lambda x: s * (phi.value(a * x + b) + c),
            lambda x: s * a * phi.slope(a * x + b),
            kinks=tuple((kink - b) / a for kink in phi.kinks),
            slope_cap=abs(s * a) * phi.slope_cap,
            slope_cap_at=(phi.slope_cap_at - b) / a,
        )


def deep_kernel_shape(phi: Activation, depth: int, zeta: float = 1.5) -> Shape:
    """Return the constants of deep kernel shaping (DKS) for a chain.

    Args:
        phi: The activation; smooth, or with a kink and two different slopes.
        depth: Number D of layers with an activation, at least 1.
        zeta: Slope of the whole chain's correlation map at 1, above 1.

    Raises:
        ValueError: If an argument is out of range, or no constants exist (ReLU, identity).

    Example:
        >>> from unvanish.theory.activations import activation
        >>> shape = deep_kernel_shape(activation("softplus"), 30)
        >>> round(shape.input_scale, 4), round(shape.output_scale, 3)
        (0.4289, 3.876)
    """
    if depth < 1 or not zeta > 1.0:
        raise ValueError(
            f"depth must be at least 1 and zeta above 1, but they are {depth} and {zeta}"
        )
    target = zeta ** (1.0 / depth)

    def constants(a: float, b: float) -> tuple[float, float, float, float]:
        kinks = tuple((kink - b) / a for kink in phi.kinks)

        def value(u: Array) -> Array:
            return phi.value(a * u + b)

        average = expectation(value, 1.0, kinks)
        variance = expectation(lambda u: (value(u) - average) ** 2, 1.0, kinks)
        length = expectation(
            lambda u: u * (value(u) - average) * a * phi.slope(a * u + b), 1.0, kinks
        )
        gradient = expectation(lambda u: (a * phi.slope(a * u + b)) ** 2, 1.0, kinks)
        return average, variance, length, gradient

    def miss(x: Array) -> list[float]:
        if abs(x[0]) > _WIDEST or abs(x[1]) > _WIDEST:
            return [1.0, 1.0]
        try:
            _, variance, length, gradient = constants(math.exp(x[0]), float(x[1]))
        except ValueError:  # so steep that it cannot be averaged: not where the solution is
            return [1.0, 1.0]
        if not variance > 1e-30:
            return [1.0, 1.0]
        return [length / variance - 1.0, gradient / variance - target]

    for a, b in _STARTS:
        found = optimize.root(miss, [math.log(a), b], tol=1e-13)
        if found.success and max(map(abs, miss(found.x))) < 1e-9:
            scale, shift = math.exp(found.x[0]), float(found.x[1])
            average, variance, _, _ = constants(scale, shift)
            return Shape(scale, shift, -average, 1.0 / math.sqrt(variance))
    raise ValueError(f"no constants of deep kernel shaping exist for {phi.name} at depth {depth}")


def tailored_shape(phi: Activation, depth: int, tau: float = 0.3) -> Shape:
    """Return the constants of TAT for a chain with a smooth activation.

    Args:
        phi: The activation, smooth.
        depth: Number D of layers with an activation, at least 1.
        tau: Curvature of the whole chain's correlation map at 1, positive.

    Raises:
        ValueError: If an argument is out of range, the activation has kinks, or no constants
            exist.
    """
    if depth < 1 or not tau > 0.0:
        raise ValueError(
            f"depth must be at least 1 and tau positive, but they are {depth} and {tau}"
        )
    if phi.kinks:
        raise ValueError(f"{phi.name} has kinks; tailored_slope(depth) is the way for LeakyReLU")

    def miss(x: Array) -> list[float]:
        if np.max(np.abs(x)) > _WIDEST:
            return [1.0] * 4
        a, b, c, s = math.exp(x[0]), float(x[1]), float(x[2]), math.exp(x[3])

        def bend(u: Array) -> Array:
            h = 1e-4
            z = a * u + b
            difference: Array = (phi.slope(z + h) - phi.slope(z - h)) / (2 * h)
            return difference

        def shifted(u: Array) -> Array:
            return phi.value(a * u + b) + c

        def slope(u: Array) -> Array:
            return a * phi.slope(a * u + b)

        return [
            s * s * expectation(lambda u: shifted(u) ** 2, 1.0) - 1.0,
            s * s * expectation(lambda u: u * shifted(u) * slope(u), 1.0) - 1.0,
            s * s * expectation(lambda u: slope(u) ** 2, 1.0) - 1.0,
            (s * s * a**4 * expectation(lambda u: bend(u) ** 2, 1.0)) / (tau / depth) - 1.0,
        ]

    for a, b in _STARTS:
        z = np.array([b])
        slope = max(float(abs(phi.slope(z)[0])), 1e-3) * a
        start = [math.log(a), b, float(-phi.value(z)[0]), -math.log(slope)]
        found = optimize.root(miss, start, tol=1e-13)
        if found.success and max(map(abs, miss(found.x))) < 1e-7:
            a_, b_, c_, s_ = (float(v) for v in found.x)
            return Shape(math.exp(a_), b_, c_, math.exp(s_))
    raise ValueError(f"no constants of TAT exist for {phi.name} at depth {depth}")


def leaky_correlation_map(c: float, slope: float) -> float:
    """Return C(c) of a LeakyReLU that keeps the length.

    Source: Cho and Saul (2009), the arc-cosine kernel of order 1.
    """
    c = min(max(c, -1.0), 1.0)
    weight = (1.0 - slope) ** 2 / (math.pi * (1.0 + slope * slope))
    return c + weight * (math.sqrt(1.0 - c * c) - c * math.acos(c))


def tailored_slope(depth: int, eta: float = 0.9) -> tuple[float, float]:
    """Return the negative slope and the scale of TAT for LeakyReLU in a chain.

    Args:
        depth: Number D of activations, at least 1.
        eta: Correlation with which inputs at right angles come out, in (0, 1).

    Returns:
        Slope below zero, and s = sqrt(2 / (1 + slope^2)).

    Raises:
        ValueError: If an argument is out of range, or even ReLU keeps inputs further apart.

    Example:
        >>> slope, scale = tailored_slope(100)
        >>> round(slope, 5), round(scale, 5)
        (0.57044, 1.2284)
    """
    if depth < 1 or not 0.0 < eta < 1.0:
        raise ValueError(
            f"depth must be at least 1 and eta between 0 and 1, but they are {depth} and {eta}"
        )

    def excess(slope: float) -> float:
        c = 0.0
        for _ in range(depth):
            c = leaky_correlation_map(c, slope)
        return c - eta

    if excess(0.0) < 0.0:
        raise ValueError(
            f"{depth} layers are too few: with ReLU inputs at right angles come out with the "
            f"correlation {excess(0.0) + eta:.4f}, below eta = {eta}"
        )
    slope = float(optimize.brentq(excess, 0.0, 1.0, xtol=1e-14))
    return slope, math.sqrt(2.0 / (1.0 + slope * slope))


def tailored_leaky_relu(depth: int, eta: float = 0.9) -> Activation:
    """Return the LeakyReLU of `tailored_slope`, its scale included."""
    slope, scale = tailored_slope(depth, eta)
    phi = leaky_relu(slope)
    return Activation(
        f"tailored leaky_relu({slope:g})",
        lambda z: scale * phi.value(z),
        lambda z: scale * phi.slope(z),
        kinks=phi.kinks,
        slope_cap=scale,
        slope_cap_at=1.0,
        is_homogeneous=True,
    )
