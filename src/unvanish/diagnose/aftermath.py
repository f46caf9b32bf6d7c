"""What the probe steps took from a network: the early layers' gradient, and the differences."""

from __future__ import annotations

import math
from dataclasses import dataclass

from unvanish.core.flow import gradient_flow
from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording


@dataclass(frozen=True)
class Aftermath:
    """How a network that took a few steps differs from the one that started.

    Attributes:
        gradient_lost: Decades of gradient that are lost between the output and the layer that
            gets least, more than at the start; ``nan`` where it was not measured.
        differences_lost: Decades by which the differences between samples are smaller where
            they enter the last layer, against the first one, more than at the start.
    """

    gradient_lost: float = math.nan
    differences_lost: float = math.nan


def aftermath(recording: Recording) -> Aftermath:
    """Compare a recording with its second look."""
    if recording.later is None:
        return Aftermath()
    now, later = recording, recording.later
    return Aftermath(
        _more(_gradient_lost(now), _gradient_lost(later)),
        _more(_differences_lost(now), _differences_lost(later)),
    )


def _more(before: float, after: float) -> float:
    return after - before if math.isfinite(before) else math.nan


def _gradient_lost(recording: Recording) -> float:
    flow = gradient_flow(recording, Quantity.LOG10_ACTIVATION_GRAD_RMS)
    return max(flow.lost(level) for level in flow.levels) if flow else math.nan


def _differences_lost(recording: Recording) -> float:
    """Return the decades of amplitude; ``inf`` where all samples have become one."""
    spread = recording[Quantity.INPUT_SPREAD]
    sites = sorted((s for s in recording.signal_sites() if s in spread), key=lambda s: s.depth)
    if len(sites) < 2 or not spread[sites[0]] > 0.0:
        return math.nan
    last = max(spread[s] for s in sites if s.depth == sites[-1].depth)
    return 0.5 * math.log10(spread[sites[0]] / last) if last > 0.0 else math.inf
