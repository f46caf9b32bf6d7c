"""Two arms put side by side, seed by seed, in the units of the endpoint.

A loss that is worse than that of the best constant answer has learned nothing, and how much worse
it is tells nothing: it counts as chance. So does a run that diverged. Where chance is not known, a
run that diverged counts as the worst result of the trial. Without this, one loss of 850 in an arm
would hide that all its other seeds are better.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final

from unvanish.core.proofs import Arm, Comparison, Endpoint
from unvanish.prove.statistics import compare

PROPORTION: Final = "accuracy"
"""Name of the endpoint that is a share of samples."""


def worst_of(endpoint: Endpoint, arms: Iterable[Arm]) -> float:
    """Return what a run without a result counts as.

    Args:
        endpoint: What the arms are judged by.
        arms: All arms of the trial.

    Returns:
        Chance where it is known, else the worst result of any run; ``nan`` without one.
    """
    if math.isfinite(endpoint.chance):
        return endpoint.chance
    seen = [
        value
        for arm in arms
        for run in arm.runs
        for value in (run.metric, *run.metrics_at.values())
        if math.isfinite(value)
    ]
    pick = min if endpoint.higher_is_better else max
    return pick(seen, default=math.nan)


def against(
    treated: Arm,
    control: Arm,
    endpoint: Endpoint,
    *,
    worst: float,
    confidence: float = 0.95,
    instead: Mapping[int, float] | None = None,
) -> Comparison:
    """Compare an arm with another one on the seeds that both have.

    A seed whose control failed, as by a lack of memory, proves nothing and is left out. A treated
    run that failed counts against its treatment.

    Args:
        treated: The arm in question.
        control: The other one.
        endpoint: What they are judged by.
        worst: What a run without a result counts as, from `worst_of`.
        confidence: What the interval is to cover.
        instead: Seed to a result that replaces the one of the treated arm.
    """
    controls = {run.job.seed: run for run in control.runs if not run.failed}
    rows = [
        (run.metric if instead is None else instead.get(run.job.seed, math.nan), other.metric)
        for run in treated.runs
        if (other := controls.get(run.job.seed)) is not None
    ]
    return compare(
        [_limited(a, endpoint) for a, _ in rows],
        [_limited(b, endpoint) for _, b in rows],
        higher_is_better=endpoint.higher_is_better,
        confidence=confidence,
        worst=worst,
        samples=endpoint.samples if is_proportion(endpoint) else 0,
    )


def is_proportion(endpoint: Endpoint) -> bool:
    """Tell whether the endpoint is a share of samples."""
    return endpoint.name == PROPORTION and endpoint.higher_is_better and endpoint.samples > 0


def _limited(value: float, endpoint: Endpoint) -> float:
    no_floor = is_proportion(endpoint) or not math.isfinite(endpoint.chance)
    if not math.isfinite(value) or no_floor:
        return value
    pick = max if endpoint.higher_is_better else min
    return pick(value, endpoint.chance)
