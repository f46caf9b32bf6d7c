r"""What the usual initialisations mean in mean-field terms: sigma_w^2 = n_in Var(W), sigma_b^2.

| name | weights | sigma_w^2 |
|---|---|---|
| default | PyTorch's layers: uniform on +-1/sqrt(n_in), biases too | 1/3 |
| lecun | variance 1 / n_in | 1 |
| xavier | variance 2 / (n_in + n_out) | 2 n_in / (n_in + n_out) |
| he | variance 2 / n_in, with a slope a below zero 2 / ((1 + a^2) n_in) | 2 / (1 + a^2) |
| orthogonal | orthogonal, entries of variance 1 / max(n_in, n_out) | n_in / max(n_in, n_out) |
| critical | the edge of chaos, see `unvanish.theory.criticality` | by activation |

Source: LeCun, Bottou, Orr and Mueller (1998); Glorot and Bengio (2010), equation 12; He, Zhang,
Ren and Sun (2015), equations 10 and 15; Saxe, McClelland and Ganguli (2014).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from unvanish.theory.activations import Activation
from unvanish.theory.criticality import critical_point, half_stable_point

_ONE: Final = np.ones(1)
NAMES: Final = ("default", "lecun", "xavier", "he", "orthogonal", "critical")


@dataclass(frozen=True, slots=True)
class Initialisation:
    """Variances of one initialisation.

    Attributes:
        name: Its name.
        sigma_w2: n_in Var(W_ij).
        sigma_b2: Var(b).
        q: Length of the first pre-activations: 1 for data of unit variance, and for the
            critical one the length at which it is critical.
    """

    name: str
    sigma_w2: float
    sigma_b2: float = 0.0
    q: float = 1.0


def initialisation(
    name: str, phi: Activation, n_in: int = 256, n_out: int | None = None, gain: float = 1.0
) -> Initialisation:
    """Return the variances that a named initialisation gives a layer.

    Args:
        name: One of `NAMES`.
        phi: The activation; it matters to ``"he"`` of leaky ReLUs and to ``"critical"``.
        n_in: Inputs of the layer.
        n_out: Outputs; as many as inputs by default.
        gain: Factor of the weights.

    Returns:
        The variances. ``"critical"`` without bias where that exists, otherwise with the bias of
        the half-stable point (GELU, SiLU, Mish).

    Raises:
        ValueError: If the name is not known, a size is not positive, or the activation has no
            critical point.

    Example:
        >>> from unvanish.theory.activations import activation
        >>> initialisation("xavier", activation("tanh"), 100, 300).sigma_w2
        0.5
    """
    n_out = n_in if n_out is None else n_out
    if min(n_in, n_out) < 1:
        raise ValueError(f"a layer needs inputs and outputs, but has {n_in} and {n_out}")
    squared = gain * gain
    match name:
        case "default":
            return Initialisation(name, squared / 3.0, 1.0 / (3.0 * n_in))
        case "lecun":
            return Initialisation(name, squared)
        case "xavier":
            return Initialisation(name, squared * 2.0 * n_in / (n_in + n_out))
        case "he":
            a = float(-phi.value(-_ONE)[0]) if phi.is_homogeneous and phi.name != "identity" else 0
            return Initialisation(name, squared * 2.0 / (1.0 + a * a))
        case "orthogonal":
            return Initialisation(name, squared * n_in / max(n_in, n_out))
        case "critical":
            point = critical_point(phi) or half_stable_point(phi)
            if point is None:
                raise ValueError(
                    f"{phi.name} has no critical initialisation: its gradient vanishes or "
                    "explodes under every one; a normalisation or a shaped activation helps"
                )
            return Initialisation(name, squared * point.sigma_w2, point.sigma_b2, point.q or 1.0)
    raise ValueError(f"there is no initialisation {name!r}; known are {', '.join(NAMES)}")
