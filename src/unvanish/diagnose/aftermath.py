"""What the probe steps did: to the loss, to the weights, and to what passes through them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from unvanish.core.conditions import ProbeStep
from unvanish.core.flow import gradient_flow
from unvanish.core.glossary import Quantity
from unvanish.core.records import Parameter, Recording


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


def last_loss(steps: tuple[ProbeStep, ...]) -> float:
    """Return the loss at the end of the probe steps, or the last one that was read."""
    for step in reversed(steps):
        for value in (step.loss_after, step.loss_before):
            if not math.isnan(value):
                return value
    return math.nan


def losses_of(steps: tuple[ProbeStep, ...]) -> list[float]:
    """Return every loss that was read around the probe steps, in order."""
    return [v for step in steps for v in (step.loss_before, step.loss_after) if not math.isnan(v)]


def rise_of(steps: tuple[ProbeStep, ...], *, peak: bool, at_stake: float) -> float:
    """Return the decades by which the loss rose; ``inf`` where it is no number any more.

    Args:
        steps: The probe steps.
        peak: Whether the highest loss counts, and not the last one.
        at_stake: What the loss is measured against where it is larger.

    Returns:
        The decades; ``nan`` where they were not measured.
    """
    losses = losses_of(steps)
    if any(math.isinf(value) for value in losses):
        return math.inf
    before, after = steps[0].loss_before, max(losses) if peak and losses else last_loss(steps)
    if math.isnan(after) or len(losses) < 2:
        return math.nan
    if after <= 0.0 or after <= before:
        return 0.0
    reference = max(abs(before), at_stake)
    return max(0.0, math.log10(after / reference)) if reference else math.nan


def change_of(recording: Recording, held: list[Parameter]) -> float:
    """Return the relative change of all weights together in the probe steps.

    The first step's is measured. From the others only the growth of the weights is known,
    which a change at right angles to them of size c brings to sqrt(1 + c^2).
    """
    sizes = {p.name: p.rms**2 * p.size for p in held if p.rms >= 0.0}
    total = sum(sizes.values())
    if not total > 0.0:
        return math.inf
    moved = sum(
        sizes[p.name] * p.update_ratio**2
        for p in held
        if p.name in sizes and math.isfinite(p.update_ratio)
    )
    if recording.later is None:
        return math.sqrt(moved / total)
    after = sum(p.rms**2 * p.size for p in recording.later.parameters if p.name in sizes)
    if math.isnan(after):
        return math.inf
    return math.sqrt(max(moved / total, after / total - 1.0))
