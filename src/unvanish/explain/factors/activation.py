r"""Elementwise functions: the largest slope, where the pre-activations stand, the alignment.

    log |phi' g| / |g| = log S + 1/2 log mean(phi'^2) / S^2 + 1/2 log mean_g(phi'^2) / mean(phi'^2)
                      (slope cap)      (operating point)                  (alignment)

with S the largest slope and mean_g weighed by g^2. The operating point's decades are divided in
proportion to sum S^2 - phi'^2 over dead units, the two tails of living ones, and the rest.
"""

from __future__ import annotations

import math
from typing import Final

from unvanish.core.explanations import Factor
from unvanish.core.glossary import Quantity
from unvanish.explain.composites import COMPOSITE
from unvanish.explain.factors.book import Part, Step
from unvanish.theory.activations import ACTIVATIONS

_CURVES: Final = frozenset(
    "exp log log1p expm1 sqrt rsqrt reciprocal pow square glu clamp abs erf rrelu".split()
)
"""Functions of one signal without a largest slope to measure them by."""
_SHARES: Final = (
    ("dead units", Quantity.OPERATING_DEAD_SHARE),
    ("left tail", Quantity.OPERATING_LEFT_SHARE),
    ("right tail", Quantity.OPERATING_RIGHT_SHARE),
)


def parts(step: Step) -> tuple[Part, ...] | None:
    """Return the factors of an activation or another elementwise function."""
    site, gain = step.site, step.gain
    slope = 10**step.scale if math.isfinite(step.scale) else math.nan
    if not slope > 0.0:
        slope = step.recording[Quantity.SLOPE_RMS].get(site)
    largest = site.slope_cap
    if math.isnan(largest) and step.op in ACTIVATIONS:  # inside a recurrent layer
        largest = ACTIVATIONS[step.op].slope_cap
    if site.function == COMPOSITE and not slope > 0.0:
        slope = 10.0**gain  # several steps, each of which was measured, and not the whole
    if slope > 0.0 and largest > 0.0 and gain != -math.inf:
        cap, point = math.log10(largest), math.log10(slope / largest)
        return (
            Part(Factor.SLOPE_CAP, cap),
            Part(Factor.OPERATING_POINT, point, parts=_split(step, point)),
            Part(Factor.ALIGNMENT, gain - cap - point),
        )
    if not math.isnan(largest):
        return (Part(Factor.OPERATING_POINT, gain),)
    is_curve = step.op in _CURVES or site.function == COMPOSITE
    return step.scaled(Factor.OPERATING_POINT) if is_curve else None


def _split(step: Step, point: float) -> tuple[tuple[str, float], ...]:
    """Divide the decades of an operating point by where gradient is withheld."""
    shares = {name: step.recording[quantity].get(step.site) for name, quantity in _SHARES}
    if any(math.isnan(share) for share in shares.values()) or point == 0.0:
        return ()
    shares["half-slope"] = max(0.0, 1.0 - math.fsum(shares.values()))
    return tuple((name, share * point) for name, share in shares.items() if share > 0.0)
