r"""The spread of the singular values of a deep Jacobian.

For L layers of large equal width, with mu_k = E phi'(z)^(2k) at the fixed length,

    mean of s^2            (sigma_w^2 mu_1)^L = chi_1^L
    variance of s^2        chi_1^(2L) L (mu_2 / mu_1^2 - 1 - s_1)

with s_1 = -1 for Gaussian and 0 for orthogonal weights. At chi_1 = 1 the mean stays 1 while the
variance grows with depth, unless the weights are orthogonal and the slope is nearly constant
(tanh at small q): dynamical isometry. ReLU has none, whatever the weights.

Source: Pennington, Schoenholz and Ganguli (2017), equations 17 and 22.
"""

from __future__ import annotations

from dataclasses import dataclass

from unvanish.theory.activations import Activation
from unvanish.theory.mean_field import slope_moment


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Moments of the squared singular values of an input-output Jacobian.

    Attributes:
        mean: Mean of s^2.
        variance: Variance of s^2.
        spread: variance / mean^2: 0 is an isometry up to scale.
    """

    mean: float
    variance: float
    spread: float


def jacobian_spectrum(
    phi: Activation, q: float, sigma_w2: float, layers: int, *, orthogonal: bool = False
) -> Spectrum:
    """Return the moments of the Jacobian of a number of layers.

    Args:
        phi: The activation.
        q: Length of the pre-activations.
        sigma_w2: n_in Var(W_ij).
        layers: Number of layers, not negative.
        orthogonal: Whether the weights are orthogonal rather than Gaussian.

    Example:
        >>> from unvanish.theory.activations import activation
        >>> jacobian_spectrum(activation("relu"), 1.0, 2.0, 10, orthogonal=True).spread
        10.0
    """
    if layers < 0:
        raise ValueError(f"layers must not be negative, but is {layers}")
    mu_1, mu_2 = slope_moment(phi, q, 2), slope_moment(phi, q, 4)
    mean = (sigma_w2 * mu_1) ** layers
    spread = layers * (mu_2 / mu_1**2 - 1.0 + (0.0 if orthogonal else 1.0))
    spread = round(spread, 12)
    return Spectrum(mean, mean * mean * spread, spread)
