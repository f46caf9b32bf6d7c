"""The words in which a trial is judged, with the numbers they rest on."""

from __future__ import annotations

import math
from collections.abc import Sequence

from unvanish.core.proofs import Arm, Comparison, Endpoint


def level(endpoint: Endpoint, arm: Arm) -> str:
    """Say where an arm ends: ``"accuracy 0.973 (0.961 to 0.981) on 5 seeds"``.

    Args:
        endpoint: What it is judged by.
        arm: The arm; its runs are counted as well as their results.
    """
    known = _known(arm)
    count = len(arm.runs)
    seeds = f"{count} seed{'' if count == 1 else 's'}"
    if not known:
        return f"no result on {seeds}" if count else "no run has ended"
    mean = math.fsum(known) / len(known)
    spread = f" ({_number(min(known))} to {_number(max(known))})" if len(known) > 1 else ""
    lost = f", {count - len(known)} without a result" if len(known) < count else ""
    asked = f"; {reaches(endpoint, arm)}" if endpoint.goal is not None else ""
    return f"{endpoint.name} {_number(mean)}{spread} on {seeds}{lost}{asked}"


def reaches(endpoint: Endpoint, arm: Arm) -> str:
    """Say how many seeds reach the goal: ``"5 of 5 reach the goal of 0.9"``.

    Args:
        endpoint: Has the goal.
        arm: The arm.
    """
    hits = sum(1 for value in arm.metrics if endpoint.reached(value))
    return f"{hits} of {len(arm.metrics)} reach the goal of {_number(endpoint.goal or 0.0)}"


def results(endpoint: Endpoint, control: Arm, arm: Arm, compared: Comparison | None) -> str:
    """Say both levels and the difference.

    Args:
        endpoint: What they are judged by.
        control: The network as it is.
        arm: What it is compared with.
        compared: Their comparison.
    """
    known = [_known(each) for each in (control, arm)]
    means = [_number(math.fsum(v) / len(v)) if v else "no result" for v in known]
    text = f"{endpoint.name} {means[0]} as it is, {means[1]} treated"
    if compared is None or not compared.differences:
        return text
    return f"{text}; {differs(compared)}"


def differs(compared: Comparison) -> str:
    """Say a difference: ``"better by 0.863 (95 % interval 0.842 to 0.884, 5 seeds)"``.

    Args:
        compared: The comparison; positive is better.
    """
    direction = "better" if compared.mean > 0 else "worse" if compared.mean < 0 else "different"
    count = len(compared.differences)
    return f"{direction} by {interval(compared)} on {count} seed{'' if count == 1 else 's'}"


def interval(compared: Comparison) -> str:
    """Say a mean difference with its interval, without its sign: the words say the direction.

    Args:
        compared: The comparison.
    """
    ends: Sequence[float] = (compared.low, compared.high)
    if compared.mean < 0:
        ends = (-compared.high, -compared.low)
    size = _number(abs(compared.mean)) + (" decades" if compared.in_decades else "")
    if not all(math.isfinite(end) for end in ends):
        return f"{size} (no interval)"
    percent = f"{100 * compared.confidence:.4g} %"
    return f"{size} ({percent} interval {_number(ends[0])} to {_number(ends[1])})"


def _known(arm: Arm) -> list[float]:
    return [value for value in arm.metrics if math.isfinite(value)]


def _number(value: float) -> str:
    return f"{value + 0.0:.3g}"
