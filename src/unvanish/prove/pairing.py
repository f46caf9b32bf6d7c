"""Two arms put side by side, seed by seed, in the units of the endpoint.

A loss that is worse than that of the best constant answer has learned nothing, and how much worse
it is tells nothing: it counts as chance. So does a run that diverged. Where chance is not known, a
run that diverged counts as the worst result of the trial. Without this, one loss of 850 in an arm
would hide that all its other seeds are better.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from unvanish.core.proofs import Arm, Comparison, Endpoint
from unvanish.prove.statistics import RELATIVE, compare

_DECADE: Final = 10.0
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
    decades: bool | None = None,
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
        decades: Whether to compare the logarithms of the errors; None to let the arms decide.
    """
    controls = {run.job.seed: run for run in control.runs if not run.failed}
    if decades is None:
        decades = in_decades(endpoint, treated, control)
    rows = [
        (run.metric if instead is None else instead.get(run.job.seed, math.nan), other.metric)
        for run in treated.runs
        if (other := controls.get(run.job.seed)) is not None
    ]
    compared = compare(
        [_scaled(a, endpoint, decades=decades) for a, _ in rows],
        [_scaled(b, endpoint, decades=decades) for _, b in rows],
        higher_is_better=endpoint.higher_is_better,
        confidence=confidence,
        worst=math.log10(worst) if decades and worst > 0.0 else worst,
        samples=endpoint.samples if is_proportion(endpoint) else 0,
    )
    if not decades:
        return compared
    return replace(compared, in_decades=True, trifle=math.log10(1.0 + RELATIVE))


def in_decades(endpoint: Endpoint, *arms: Arm) -> bool:
    """Tell whether arms are compared by the logarithms of their errors.

    They are where an error of known sign spans more than a decade over the seeds of one arm: its
    mean is then the worst seed's, and an interval around it says nothing. Errors of which chance is
    known are held at chance instead.

    Args:
        endpoint: What the arms are judged by.
        arms: The arms.
    """
    if not have_decades(endpoint, *arms):
        return False
    known = [[m for m in arm.metrics if math.isfinite(m)] for arm in arms]
    return any(values and max(values) > _DECADE * min(values) for values in known)


def have_decades(endpoint: Endpoint, *arms: Arm) -> bool:
    """Tell whether results are errors of one sign, whose logarithms can be compared."""
    if endpoint.higher_is_better or math.isfinite(endpoint.chance):
        return False
    return all(m > 0.0 for arm in arms for m in arm.metrics if math.isfinite(m))


def is_proportion(endpoint: Endpoint) -> bool:
    """Tell whether the endpoint is a share of samples."""
    return endpoint.name == PROPORTION and endpoint.higher_is_better and endpoint.samples > 0


def _scaled(value: float, endpoint: Endpoint, *, decades: bool) -> float:
    if not math.isfinite(value):
        return value
    if decades:
        return math.log10(value)
    if is_proportion(endpoint) or not math.isfinite(endpoint.chance):
        return value
    pick = max if endpoint.higher_is_better else min
    return pick(value, endpoint.chance)
