"""The scale of weights and biases that suits a function: what initialisations share."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import torch
from torch import Tensor

from unvanish.core.glossary import Quantity
from unvanish.core.prescriptions import Prescription
from unvanish.theory.activations import Activation
from unvanish.theory.criticality import CriticalPoint, critical_point, half_stable_point
from unvanish.treat.anatomy import Layer, theory_of
from unvanish.treat.drawing import free
from unvanish.treat.protocol import Case

BIAS_VARIANCE: Final = 0.05
"""Var(b) at the critical point of functions that have one for every bias: Schoenholz's."""
STARTS: Final = frozenset(
    "he xavier lecun orthogonal delta-orthogonal critical looks-linear siren".split()
)
"""Remedies that draw every weight anew; one of them is enough."""
EXCHANGES: Final = frozenset("relu leaky-relu prelu elu selu gelu silu".split())
"""Remedies that exchange the activation, which a start has to know."""
_FLAT: Final = 0.1
"""Share of the largest slope below which a unit counts as saturated, as in UV201."""


def points_of(case: Case, *, biases: bool) -> tuple[dict[str, CriticalPoint], list[str]]:
    """Return the critical point of each function behind a layer, and why others have none.

    Args:
        case: The network.
        biases: As in `useful_point`.
    """
    points: dict[str, CriticalPoint] = {}
    reasons: dict[str, str] = {}
    for layer in free(case):
        if (
            not layer.hidden_activation
            or layer.hidden_activation in points
            or layer.hidden_activation in reasons
        ):
            continue
        phi = theory_of(layer, case.model)
        point = (
            useful_point(phi, biases=biases)
            if phi is not None
            else f"theory knows no {layer.hidden_activation}"
        )
        if isinstance(point, str):
            reasons[layer.hidden_activation] = point
        else:
            points[layer.hidden_activation] = point
    return points, list(reasons.values())


def settings_of(points: Mapping[str, CriticalPoint], case: Case) -> dict[str, float | str | bool]:
    """Return critical points as the settings of a prescription.

    A layer that reads the data gets a sigma_w of its own, by which the signal begins at the
    length at which the network then stands.

    Args:
        points: Function to its point.
        case: The network, for the size of its data.
    """
    settings: dict[str, float | str | bool] = {}
    for name, point in points.items():
        settings[f"{name} sigma_w"] = point.gain
        settings[f"{name} sigma_b"] = math.sqrt(point.sigma_b2)
        if point.q > 0.0 and point.sigma_b2 > 0.0:
            settings[f"{name} length"] = point.q
    sizes = case.recording[Quantity.INPUT_RMS]
    for layer in free(case):
        length = float(settings.get(f"{layer.hidden_activation} length", 0.0))
        if (
            layer.reads_data
            and length > 0.0
            and sizes.get(layer.site) > 0.0
            and not layer.norm_site
        ):
            carried = max(0.0, length - points[layer.hidden_activation].sigma_b2)
            settings[f"{layer.weight} sigma_w"] = math.sqrt(carried) / sizes[layer.site]
    return settings


def weight_gain(layer: Layer, prescription: Prescription) -> float:
    """Return sigma_w of a layer: its own, or that of the function behind it, or 1.

    Args:
        layer: The layer.
        prescription: With the settings that `settings_of` wrote.
    """
    usual = prescription.settings.get(f"{layer.hidden_activation} sigma_w", 1.0)
    return float(prescription.settings.get(f"{layer.weight} sigma_w", usual))


def bias_deviation(layer: Layer, prescription: Prescription) -> float:
    """Return sigma_b of a layer: that of the function behind it, 0 where there is none."""
    return float(prescription.settings.get(f"{layer.hidden_activation} sigma_b", 0.0))


def drawn_bias(prescription: Prescription) -> Callable[[Layer, Tensor], Tensor]:
    """Return what draws a bias with the deviation that a prescription holds for its layer."""

    def bias(layer: Layer, old: Tensor) -> Tensor:
        return torch.empty_like(old).normal_(0.0, bias_deviation(layer, prescription))

    return bias


def useful_point(phi: Activation, *, biases: bool = True) -> CriticalPoint | str:
    """Return the critical point to start a network from, or why there is none.

    Args:
        phi: The function.
        biases: Whether functions that are critical with and without biases get biases: their
            length then settles, where without it falls towards zero.

    Returns:
        The point; or a reason, such as that half of the units would be saturated there.
    """
    if phi.is_homogeneous:
        return _found(critical_point(phi), phi)
    without = critical_point(phi)
    if without is not None and without.q == 0.0 and is_odd(phi) and not biases:
        return without
    if without is not None and without.q == 0.0:
        return _found(critical_point(phi, BIAS_VARIANCE) or without, phi)
    return _found(without or half_stable_point(phi), phi)


def _found(point: CriticalPoint | None, phi: Activation) -> CriticalPoint | str:
    if point is None:
        return f"{phi.name} has no critical point: no weights keep its gradient at every depth"
    flat = flat_share(phi, point.q)
    if flat > 0.5:
        return (
            f"{phi.name} is critical only at weights {point.gain:.3g} times those of unit gain, "
            f"where {flat:.0%} of the units are saturated"
        )
    return point


def flat_share(phi: Activation, q: float) -> float:
    """Return the share of units that are left less than a tenth of the largest slope.

    Args:
        phi: The function.
        q: Length of its arguments.
    """
    if phi.kinks or phi.is_homogeneous:  # switched off is not saturated
        return 0.0
    limit = _FLAT * phi.slope_cap
    z = np.linspace(-8.0, 8.0, 20001)
    weights = np.exp(-0.5 * z * z)
    flat = np.abs(phi.slope(z * math.sqrt(q))) < limit
    return float((weights * flat).sum() / weights.sum())


def is_odd(phi: Activation) -> bool:
    """Tell whether phi(-z) = -phi(z), as for tanh."""
    z = np.linspace(0.0, 6.0, 61)
    return bool(np.allclose(phi.value(z), -phi.value(-z), atol=1e-9))


def slope_at_zero(phi: Activation) -> float:
    """Return phi'(0), for a function that has one there."""
    step = 1e-4
    ends = phi.value(np.array([step, -step]))
    return float(ends[0] - ends[1]) / (2.0 * step)
