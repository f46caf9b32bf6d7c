r"""Signal and gradient in a wide random network: length map, correlation map, chi, depth scales.

A layer is z = W phi(z_previous) + b with W_ij ~ N(0, sigma_w^2 / n_in) and b ~ N(0, sigma_b^2).
At large width every pre-activation is Gaussian, and what a layer does is two maps:

    length map        V(q) = sigma_w^2 E phi(z)^2 + sigma_b^2,                     z ~ N(0, q)
    correlation map   C(c) = (sigma_w^2 E phi(z_1) phi(z_2) + sigma_b^2) / q*

and two slopes,

    chi_1 = sigma_w^2 E phi'(z)^2 = C'(1)        the gradient's energy is multiplied by chi_1
    chi_q = V'(q) = sigma_w^2 E z phi(z) phi'(z) / q

with depth scales xi = -1 / ln |slope|. chi_1 < 1 is the ordered phase (gradients vanish, inputs
become alike), chi_1 > 1 the chaotic one (gradients explode, inputs become unlike), chi_1 = 1 the
edge between them.

Source: Poole, Lahiri, Raghu, Sohl-Dickstein and Ganguli (2016), equations 3 to 7; Schoenholz,
Gilmer, Ganguli and Sohl-Dickstein (2017), sections 3 and 4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import optimize

from unvanish.theory.activations import Activation
from unvanish.theory.quadrature import expectation, joint_expectation

_SMALLEST: Final = 1e-13
_LARGEST: Final = 1e8


def second_moment(phi: Activation, q: float) -> float:
    """Return E phi(z)^2 for z ~ N(0, q)."""
    return expectation(lambda z: phi.value(z) ** 2, q, phi.kinks)


def mean(phi: Activation, q: float) -> float:
    """Return E phi(z) for z ~ N(0, q)."""
    return expectation(phi.value, q, phi.kinks)


def slope_moment(phi: Activation, q: float, power: int = 2) -> float:
    """Return E phi'(z)^power for z ~ N(0, q); the second moment drives the gradient."""
    return expectation(lambda z: phi.slope(z) ** power, q, phi.kinks)


def length_map(phi: Activation, q: float, sigma_w2: float, sigma_b2: float = 0.0) -> float:
    """Return V(q), the variance of a layer's pre-activations after one of variance q.

    Args:
        phi: The activation.
        q: Variance before, not negative.
        sigma_w2: n_in Var(W_ij), not negative.
        sigma_b2: Var(b), not negative.

    Example:
        >>> from unvanish.theory.activations import activation
        >>> round(length_map(activation("relu"), 3.0, 2.0), 12)
        3.0
    """
    return sigma_w2 * second_moment(phi, q) + sigma_b2


def chi_1(phi: Activation, q: float, sigma_w2: float) -> float:
    """Return the factor by which one layer multiplies the energy of the gradient.

    Example:
        >>> from unvanish.theory.activations import activation
        >>> round(chi_1(activation("relu"), 1.0, 1 / 3), 6)  # PyTorch's default
        0.166667
    """
    return sigma_w2 * slope_moment(phi, q)


def chi_q(phi: Activation, q: float, sigma_w2: float) -> float:
    """Return V'(q), by which a small error of the length is multiplied."""
    if q < 1e-24:
        return chi_1(phi, 0.0, sigma_w2)
    moment = expectation(lambda z: z * phi.value(z) * phi.slope(z), q, phi.kinks)
    return sigma_w2 * moment / q


def fixed_length(
    phi: Activation, sigma_w2: float, sigma_b2: float = 0.0, start: float = 1.0
) -> float:
    """Return the length q* that the length map runs into from a start.

    Args:
        phi: The activation.
        sigma_w2: n_in Var(W_ij).
        sigma_b2: Var(b).
        start: Variance of the first pre-activations.

    Returns:
        q*; 0 where the signal dies out, ``inf`` where it grows without bound.

    Example:
        >>> from unvanish.theory.activations import activation
        >>> round(fixed_length(activation("tanh"), 1.5, 0.05), 5)
        0.41804
    """

    def drift(q: float) -> float:
        return length_map(phi, q, sigma_w2, sigma_b2) - q

    first = drift(start)
    if abs(first) <= 1e-12 * start:
        return start
    factor = 1.25 if first > 0 else 0.8
    near = start
    while _SMALLEST < near < _LARGEST:
        far = near * factor
        if drift(far) * first <= 0:
            return float(optimize.brentq(drift, near, far, xtol=1e-15, rtol=1e-13))
        near = far
    return math.inf if first > 0 else 0.0


def correlation_map(
    phi: Activation, c: float, q: float, sigma_w2: float, sigma_b2: float = 0.0
) -> float:
    """Return C(c), the correlation of two inputs behind one more layer.

    Args:
        phi: The activation.
        c: Correlation of their pre-activations before, in [-1, 1].
        q: Length of both, usually q*.
        sigma_w2: n_in Var(W_ij).
        sigma_b2: Var(b).
    """
    joint = joint_expectation(phi.value, phi.value, q, c, phi.kinks)
    return (sigma_w2 * joint + sigma_b2) / length_map(phi, q, sigma_w2, sigma_b2)


def correlation_slope(phi: Activation, c: float, q: float, sigma_w2: float) -> float:
    """Return C'(c) = sigma_w^2 E phi'(z_1) phi'(z_2); at c = 1 it is chi_1.

    Valid at a fixed length q = q*.
    """
    return sigma_w2 * joint_expectation(phi.slope, phi.slope, q, c, phi.kinks)


def fixed_correlation(phi: Activation, q: float, sigma_w2: float, sigma_b2: float = 0.0) -> float:
    """Return the correlation c* that two different inputs run into.

    C has only positive powers of c, so that it is convex on [0, 1]: with chi_1 <= 1 the only
    fixed point is 1; with chi_1 > 1 it is the one below 1.
    """
    if chi_1(phi, q, sigma_w2) <= 1.0 + 1e-9:
        return 1.0

    def drift(c: float) -> float:
        return correlation_map(phi, c, q, sigma_w2, sigma_b2) - c

    if drift(0.0) <= 1e-15:
        return 0.0
    high = 1.0 - 1e-3
    while drift(high) >= 0:
        high = 1.0 - (1.0 - high) / 8
        if 1.0 - high < 1e-10:
            return 1.0
    return float(optimize.brentq(drift, 0.0, high, xtol=1e-14))


def scale(slope: float) -> float:
    """Return the depth scale -1 / ln |slope| in layers; ``inf`` at 1, 0 at 0.

    It is positive for decay and growth alike.
    """
    if slope == 0.0:
        return 0.0
    if math.isinf(slope):
        return 0.0
    log = abs(math.log(abs(slope)))
    return math.inf if log < 1e-13 else 1.0 / log


@dataclass(frozen=True, slots=True)
class MeanField:
    """What theory says of one activation under one initialisation.

    Attributes:
        activation: Its name.
        sigma_w2: n_in Var(W_ij).
        sigma_b2: Var(b).
        q: Length q* the signal runs into; 0 or ``inf`` where it dies out or grows.
        c: Correlation c* two inputs run into; ``nan`` where there is no length.
        chi_1: Factor of the gradient's energy a layer, at q*.
        chi_q: Slope of the length map at q*.
        xi_q: Layers over which an error of the length falls by e.
        xi_c: Layers over which the distance from c* falls by e.
        xi_grad: Layers over which the gradient's energy changes by e.
    """

    activation: str
    sigma_w2: float
    sigma_b2: float
    q: float
    c: float
    chi_1: float
    chi_q: float
    xi_q: float
    xi_c: float
    xi_grad: float

    @property
    def amplitude(self) -> float:
        """Factor of the gradient's norm a layer, sqrt(chi_1)."""
        return math.sqrt(self.chi_1)

    @property
    def trainable_depth(self) -> float:
        """Layers down to which such a network was found to train, 6 xi_c."""
        return 6.0 * self.xi_c

    @property
    def phase(self) -> str:
        """``"ordered"``, ``"critical"`` or ``"chaotic"``."""
        if abs(self.chi_1 - 1.0) < 1e-6:
            return "critical"
        return "ordered" if self.chi_1 < 1.0 else "chaotic"


def mean_field(
    phi: Activation, sigma_w2: float, sigma_b2: float = 0.0, start: float = 1.0
) -> MeanField:
    """Return the fixed points, slopes and depth scales of one initialisation.

    Args:
        phi: The activation.
        sigma_w2: n_in Var(W_ij), positive.
        sigma_b2: Var(b), not negative.
        start: Variance of the first pre-activations.

    Raises:
        ValueError: If a variance is out of range.

    Example:
        >>> from unvanish.theory.activations import activation
        >>> m = mean_field(activation("tanh"), 1.5, 0.05)
        >>> round(m.chi_1, 4), round(m.xi_c, 2), m.phase
        (0.9386, 15.79, 'ordered')
    """
    if not (0.0 < sigma_w2 < math.inf and 0.0 <= sigma_b2 < math.inf and 0.0 < start < math.inf):
        raise ValueError(
            "sigma_w2 and start must be positive and sigma_b2 not negative, "
            f"but they are {sigma_w2}, {start} and {sigma_b2}"
        )
    q = fixed_length(phi, sigma_w2, sigma_b2, start)
    seen = min(max(q, 0.0), _LARGEST)
    gradient, length = chi_1(phi, seen, sigma_w2), chi_q(phi, seen, sigma_w2)
    if 0.0 < q < math.inf:
        c = fixed_correlation(phi, q, sigma_w2, sigma_b2)
        correlation = gradient if c == 1.0 else correlation_slope(phi, c, q, sigma_w2)
    else:
        c, correlation = math.nan, gradient
    return MeanField(
        activation=phi.name,
        sigma_w2=sigma_w2,
        sigma_b2=sigma_b2,
        q=q,
        c=c,
        chi_1=gradient,
        chi_q=length,
        xi_q=scale(length),
        xi_c=scale(correlation),
        xi_grad=scale(gradient),
    )


def gradient_profile(
    phi: Activation,
    sigma_w2: float,
    depth: int,
    sigma_b2: float = 0.0,
    start: float = 1.0,
) -> list[float]:
    """Return the predicted log10 of |delta_l| / |delta_L| for l = 0 .. depth.

    It follows the length from its start instead of standing at q*, so that it also holds for
    a signal that dies out slowly (tanh with sigma_w = 1).

    Args:
        phi: The activation.
        sigma_w2: n_in Var(W_ij).
        depth: Number of layers L, at least 1.
        sigma_b2: Var(b).
        start: Variance of the first pre-activations.

    Returns:
        depth + 1 values; the last is 0.

    Example:
        >>> from unvanish.theory.activations import activation
        >>> round(gradient_profile(activation("relu"), 1 / 3, 30)[0], 2)
        -11.67
    """
    if depth < 1:
        raise ValueError(f"depth must be at least 1, but is {depth}")
    q, factors = start, []
    for _ in range(depth):
        factors.append(chi_1(phi, q, sigma_w2))
        q = min(length_map(phi, q, sigma_w2, sigma_b2), _LARGEST)
    logs = 0.5 * np.log10(np.maximum(factors, 1e-300))
    return [float(np.sum(logs[layer:])) for layer in range(depth + 1)]
