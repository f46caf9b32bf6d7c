r"""How deep a plain network may be: the depth over which gradient and signal keep their shape.

In a wide random network of equal layers the energy of the gradient is multiplied by the same
factor chi at every layer,

    E |delta_l|^2 = chi^(L - l) E |delta_L|^2,    chi = sigma_w^2 E[phi'(z)^2],

and for chi < 1 two inputs approach each other at that rate, too: 1 - c_(l+1) = chi (1 - c_l)
where c is near 1, as chi is the slope of the correlation map at c = 1. The depth scale is the
number of layers over which the energy changes by a factor of e,

    xi = 1 / |ln chi|,

infinite at criticality, chi = 1. Networks were found to train down to about six depth scales.

Source: Schoenholz, Gilmer, Ganguli and Sohl-Dickstein (2017).
"""

from __future__ import annotations

import math
from typing import Final

TRAINABLE_DEPTH_SCALES: Final = 6.0
"""Depth in units of xi down to which plain networks were found to train."""


def depth_scale(log10_factor: float) -> float:
    """Return the depth scale xi in layers.

    Args:
        log10_factor: log10 of the factor by which the gradient's amplitude changes from one
            layer to the next; its sign does not matter.

    Returns:
        Layers over which the energy of the gradient changes by a factor of e; ``inf`` where
        it does not change, 0 where it vanishes or explodes at once.

    Raises:
        ValueError: If the factor is not a number.

    Example:
        >>> round(depth_scale(math.log10(math.sqrt(1 / 6))), 3)  # ReLU, PyTorch's default
        0.558
    """
    if math.isnan(log10_factor):
        raise ValueError("log10_factor must be a number, but is nan")
    if log10_factor == 0.0:
        return math.inf
    return 1.0 / (2.0 * math.log(10.0) * abs(log10_factor))


def trainable_depth(log10_factor: float) -> float:
    """Return the number of layers down to which such a network was found to train.

    Args:
        log10_factor: As in `depth_scale`.
    """
    return TRAINABLE_DEPTH_SCALES * depth_scale(log10_factor)
