"""What a treatment costs, and what it breaks, beside what it improves.

A bill counts as a harm from twice the control's: with that time the control could have been
trained twice as long, and with that memory on twice the batch. A difference below is said and not
held against a treatment. What the trained network looks like counts where a rule of `check` or
its limit says so; most rules are about a start and are no judgement on an end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import median
from typing import Final

from unvanish.core.prescriptions import Outlook
from unvanish.core.proofs import Arm, Endpoint, Harm, Run
from unvanish.prove.pairing import against, worst_of
from unvanish.prove.statistics import is_better

TIMES: Final = 2.0
"""Ratio to the control from which time, memory or parameters count as a harm."""
DECADES: Final = 3.0
"""Change of the gradient over depth from which it counts, the limit of UV101."""
_ON_TIME: Final = 1.1
"""How far beyond the control's time a result may lie and still count as of equal time."""
_BROKEN: Final = {
    "UV101": "a vanishing gradient",
    "UV102": "an exploding gradient",
    "UV103": "a collapsed signal",
    "UV201": "saturated activations",
    "UV202": "dead units",
    "UV302": "collapsed attention",
    "UV403": "numbers that are not finite",
}
"""The findings that are as bad in a trained network as at a start."""


def harms(control: Arm, treated: Arm, endpoint: Endpoint) -> tuple[Harm, ...]:
    """Compare two arms in everything that is not the endpoint.

    Args:
        control: The network as it is.
        treated: The answer, or what was to be tried.
        endpoint: What the arms are judged by; here at equal wall time.

    Returns:
        Everything that could be compared, whether it is a harm or not.
    """
    return tuple(_compared(control, treated, endpoint))


def _compared(control: Arm, treated: Arm, endpoint: Endpoint) -> Iterator[Harm]:
    yield from _unfinished(control, treated)
    yield from _at_equal_time(control, treated, endpoint)
    yield from _bill("time per step", "ms", _fastest(control), _fastest(treated))
    bills: tuple[tuple[str, str, Callable[[Run], float]], ...] = (
        ("memory kept", "bytes", lambda run: float(run.peak_bytes or math.nan)),
        ("parameters", "", lambda run: float(run.parameters or math.nan)),
    )
    for name, unit, read in bills:
        yield from _bill(
            name, unit, _middle(map(read, control.runs)), _middle(map(read, treated.runs))
        )
    before, after = _ends(control), _ends(treated)
    if before and after:
        yield from _findings(before, after)
        yield from _flow(before, after)
        yield from _likeness(before, after)


def _unfinished(control: Arm, treated: Arm) -> Iterator[Harm]:
    """Compare the shares of runs that diverged or failed, on the seeds that both have."""
    seeds = {r.job.seed for r in control.runs} & {r.job.seed for r in treated.runs}
    if not seeds:
        return
    counts = [
        sum(1 for run in arm.runs if run.job.seed in seeds and (run.diverged or run.failed))
        for arm in (control, treated)
    ]
    yield Harm(
        name="runs without a result",
        control=float(counts[0]),
        treated=float(counts[1]),
        is_worse=counts[1] > counts[0],
        said=f"{counts[1]} of {len(seeds)} runs diverged or failed, and {counts[0]} of the control",
    )


def _at_equal_time(control: Arm, treated: Arm, endpoint: Endpoint) -> Iterator[Harm]:
    """Compare the endpoint where the treated network has had the time of the control, not more."""
    seconds = _middle(run.seconds for run in control.runs if not _is_lost(run))
    each = _middle(run.milliseconds_per_step for run in treated.runs if not _is_lost(run)) / 1000.0
    if not (seconds > 0.0 and each > 0.0):
        return
    worst = worst_of(endpoint, (control, treated))
    latest = _ON_TIME * seconds / each
    values = {
        run.job.seed: math.nan if _is_lost(run) else _metric_before(run, latest)
        for run in treated.runs
    }
    known = [run.metric for run in control.runs if math.isfinite(run.metric)]
    measured = [value for value in values.values() if math.isfinite(value)]
    name = f"{endpoint.name} at equal time"
    if not measured:
        yield Harm(name=name, control=_middle(known), said=f"{name}: not measured")
        return
    at_end = against(treated, control, endpoint, worst=worst)
    at_time = against(treated, control, endpoint, worst=worst, instead=values)
    lost = is_better(at_end) and not is_better(at_time)
    own = f"{endpoint.name} {median(measured):.3g} in the time that the control takes for "
    tail = f"{median(known):.3g}" if known else "no result at all"
    yield Harm(
        name=name,
        control=_middle(known),
        treated=median(measured),
        is_worse=lost,
        said=own + tail + (": in equal time it is not better beyond doubt" if lost else ""),
    )


def _metric_before(run: Run, latest: float) -> float:
    """Return the endpoint at the last step up to one, as far as it was measured."""
    if run.steps <= latest:
        return run.metric
    steps = [int(step) for step in run.metrics_at if int(step) <= latest]
    return run.metrics_at[str(max(steps))] if steps else math.nan


def _bill(name: str, unit: str, control: float, treated: float) -> Iterator[Harm]:
    if not (control > 0.0 and treated > 0.0):
        return
    yield Harm(
        name=name,
        control=control,
        treated=treated,
        unit=unit,
        is_worse=treated / control >= TIMES,
        said=f"{name}: {treated / control:.2g} times the control's",
    )


def _findings(before: Sequence[Outlook], after: Sequence[Outlook]) -> Iterator[Harm]:
    """Tell what most treated networks have at the end, and no control."""
    for code, what in _BROKEN.items():
        had = sum(1 for end in before if _is_found(end, code))
        has = sum(1 for end in after if _is_found(end, code))
        if not had and not has:
            continue
        yield Harm(
            name=f"{code} at the end",
            control=had / len(before),
            treated=has / len(after),
            unit="of the networks",
            is_worse=not had and 2 * has > len(after),
            said=f"{what}: {has} of {len(after)} trained networks, {had} of {len(before)} controls",
        )


def _is_found(end: Outlook, code: str) -> bool:
    return end.findings.get(code) in {"warning", "error"}


def _flow(before: Sequence[Outlook], after: Sequence[Outlook]) -> Iterator[Harm]:
    """Compare how far the gradient changes over depth: past the limit, and a decade further."""
    control = _middle(end.flow_decades for end in before)
    treated = _middle(end.flow_decades for end in after)
    if math.isnan(control) or math.isnan(treated):
        return
    yield Harm(
        name="change of the gradient over depth, at the end",
        control=control,
        treated=treated,
        unit="decades",
        is_worse=abs(treated) > max(DECADES, abs(control) + 1.0),
        said=f"the gradient changes by {treated:+.1f} decades over depth at the end, "
        f"and by {control:+.1f} in the control",
    )


def _likeness(before: Sequence[Outlook], after: Sequence[Outlook]) -> Iterator[Harm]:
    """Compare how alike the outputs are; never a harm, since targets may be alike themselves."""
    control = _middle(end.sample_cosine for end in before)
    treated = _middle(end.sample_cosine for end in after)
    if math.isnan(control) or math.isnan(treated):
        return
    yield Harm(
        name="cosine between samples, at the end",
        control=control,
        treated=treated,
        said=f"outputs of different samples have a cosine of {treated:.3g}, "
        f"and of {control:.3g} in the control",
    )


def _ends(arm: Arm) -> list[Outlook]:
    return [run.end for run in arm.runs if run.end is not None]


def _fastest(arm: Arm) -> float:
    """Return the time of a step in the fastest run: what slows others down is the machine."""
    times = (run.milliseconds_per_step for run in arm.runs)
    return min((each for each in times if not math.isnan(each)), default=math.nan)


def _is_lost(run: Run) -> bool:
    return bool(run.diverged or run.failed)


def _middle(values: Iterable[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return median(known) if known else math.nan
