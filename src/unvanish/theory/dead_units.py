r"""How many units of a healthy ReLU layer stay silent on a batch, by chance alone.

A unit's pre-activation over random weights is Gaussian. Over N samples whose features have
the mean cosine c, its N values are standard normals (up to scale) with pairwise correlation
c. With z_i = sqrt(c) t + sqrt(1-c) e_i, t shared and e_i independent,

    P(all z_i < 0) = integral phi(t) Phi(-sqrt(c/(1-c)) t)^N dt.

Special cases: c = 0 gives 2^-N, c = 1/2 gives 1/(N+1), c = 1 gives 1/2. For large N and
c > 0 it falls like N^-((1-c)/c): the more alike the samples are, the less they tell.

Equal correlations need as many directions as there are samples: N equicorrelated samples
differ in N - 1 of them. Samples of few features differ in few, and more of them tell little
more: points on an arc of angle a leave 1/2 - a / (2 pi) of all units silent, however many
they are, which is the formula for the two ends of the arc alone. So samples that differ in
r directions count as r + 1. The arc and points in a plane, a line or a cube are left more
silent by this count than by chance; where r grows with N it changes nothing.

Source: the equicorrelated orthant probability is classical (Steck and Owen 1962); its use
as a null for dying units follows Lu, Shin, Su and Karniadakis (2020).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

_PANELS = 80
_EDGE = 9.0  # phi(9) is below 1e-17


def independent_samples(samples: int, directions: float, compared: int) -> float:
    """Return how many equicorrelated samples differ in as many directions as these do.

    Directions are counted as (sum s^2)^2 / sum s^4 over the singular values s of the centred
    features. For n random samples in R dimensions that is about 1 / (1/(n-1) + 1/R), from
    which R follows, and with it the count among all N samples.

    Args:
        samples: Number N of samples, at least 1.
        directions: Directions counted among some of them; 0 where all are equal.
        compared: How many of them, n, that was.

    Returns:
        A number from 1 to N.

    Example:
        >>> independent_samples(300, 1.0, 32) < 2.1  # points on a line
        True
        >>> independent_samples(300, 31.0, 32)  # as many directions as can be seen
        300.0
    """
    if samples < 2 or not directions > 0.0:
        return 1.0
    features = max(0.0, 1.0 / directions - 1.0 / max(1, compared - 1))
    return 1.0 + 1.0 / (1.0 / (samples - 1) + features)


@lru_cache(maxsize=4096)
def expected_dead_fraction(samples: float, cosine: float) -> float:
    """Return the share of units that N samples of a healthy layer leave silent by chance.

    Args:
        samples: Number N of samples, at least 1; positions of a feature map count as
            samples only as far as they are independent. It need not be whole.
        cosine: Mean cosine c between the samples' features at the layer's input. Clipped
            to [0, 1]: a negative c can only make a silent unit rarer than c = 0 does.

    Returns:
        Probability in [0, 1/2], to an absolute error below 1e-12.

    Raises:
        ValueError: If there is no sample or the cosine is not a number.

    Example:
        >>> round(expected_dead_fraction(9, 0.5), 12)
        0.1
    """
    if samples < 1:
        raise ValueError(f"samples must be at least 1, but is {samples}")
    if math.isnan(cosine):
        raise ValueError("cosine must be a number, but is nan")
    if samples == 1 or cosine >= 1.0:
        return 0.5
    if cosine <= 0.0:
        return float(0.5**samples)
    steepness = math.sqrt(cosine / (1.0 - cosine))
    if steepness <= 1.0:
        t, width = _nodes(-_EDGE, _EDGE)
        return float(np.sum(width * _density(t) * _all_below(steepness * t, samples)))
    # For c near 1 the power is a step in t: integrate over s = steepness * t, where the
    # step is smooth. To the left of `start` the power is 1 and the integral is Phi.
    start = -_EDGE - math.sqrt(2.0 * math.log(samples))
    s, width = _nodes(start, _EDGE)
    inner = np.sum(width * _density(s / steepness) * _all_below(s, samples)) / steepness
    return 0.5 * math.erfc(-start / steepness / math.sqrt(2.0)) + float(inner)


def _nodes(low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights of a composite Gauss-Legendre rule, 12 nodes a panel."""
    x, w = np.polynomial.legendre.leggauss(12)
    half = (high - low) / (2 * _PANELS)
    middles = low + half * (2 * np.arange(_PANELS) + 1)
    return (middles[:, None] + half * x).ravel(), np.tile(half * w, _PANELS)


def _density(t: np.ndarray) -> np.ndarray:
    density: np.ndarray = np.exp(-0.5 * t * t) / math.sqrt(2.0 * math.pi)
    return density


def _all_below(s: np.ndarray, samples: float) -> np.ndarray:
    """Return Phi(-s)^N, by way of log Phi so that N may be large."""
    power: np.ndarray = np.exp(samples * np.array([_log_phi(-x) for x in s.tolist()]))
    return power


def _log_phi(x: float) -> float:
    if x > 0.0:
        return math.log1p(-0.5 * math.erfc(x / math.sqrt(2.0)))
    return math.log(0.5 * math.erfc(-x / math.sqrt(2.0)))
