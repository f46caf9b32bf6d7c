"""What a trial costs and what it can afford: steps, seeds, arms, rates."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Final

from unvanish.core.errors import UnvanishError

RATES: Final = (1.0, 0.1, 10.0)
"""Factors of the learning rate that every arm is tried with, the control among them."""
BETWEEN: Final = math.sqrt(10.0)
"""Distance of the further rates that the best arms are tried with."""

_RUN_SECONDS: Final = 2.0
"""What one full run may take, where nobody says otherwise."""
_FEWEST_STEPS: Final = 200
_MOST_STEPS: Final = 1000
_SHARE: Final = 4
"""A first try takes one of so many parts of the steps of a full run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much a trial does.

    Attributes:
        steps: Optimiser steps of a full run, the same for every arm.
        seeds: How many pairs the proof rests on, at least 1.
        arms: How many treatments get a first try.
        finalists: How many of them are trained in full before one is chosen.
        rates: Factors of the learning rate in the first tries.
        lots: Runs of the null arm and of the arm drawn by lot.
        seconds: Wall time after which no further stage begins; None for none.
    """

    steps: int
    seeds: int = 5
    arms: int = 6
    finalists: int = 3
    rates: tuple[float, ...] = RATES
    lots: int = 3
    seconds: float | None = None

    @property
    def short_steps(self) -> int:
        """Steps of a first try."""
        return min(self.steps, max(25, round(self.steps / _SHARE)))

    def full_runs(self) -> float:
        """Return about how many full runs the whole trial comes to."""
        tries = (self.arms + 1) * len(self.rates) * self.short_steps / self.steps
        return tries + 3 * (self.finalists + 1) + 2 * self.seeds + 2 * self.lots

    def within(self, full_runs: float) -> Plan:
        """Return a plan that takes less, as far as it can be made to.

        Args:
            full_runs: How many full runs there is time for. The control's are done.
        """
        plan = self
        for change in (
            {"arms": 4, "finalists": 2},
            {"arms": 3, "finalists": 1},
            {"lots": 1},
            {"arms": 2},
            {"lots": 0},
        ):
            if plan.full_runs() - plan.seeds <= full_runs:
                break
            smaller = {name: min(most, getattr(plan, name)) for name, most in change.items()}
            plan = replace(plan, **smaller)
        return plan


def planned(
    milliseconds_per_step: float,
    *,
    jobs: int,
    steps: int | None = None,
    seeds: int = 5,
    seconds: float | None = None,
) -> Plan:
    """Choose steps and arms for a network of a given speed.

    Args:
        milliseconds_per_step: Of the control.
        jobs: Runs at once.
        steps: Steps of a full run, where the user or the recipe says so; None to choose between
            200 and 1,000 such that a run takes two seconds.
        seeds: Pairs the proof rests on.
        seconds: Wall time that the user allows; None for no limit. Fewer arms, then fewer seeds,
            then fewer steps, are what gives way.

    Returns:
        The plan.
    """
    own = steps is not None
    if steps is None:
        steps = round(1000.0 * _RUN_SECONDS / max(0.01, milliseconds_per_step))
        steps = max(_FEWEST_STEPS, min(_MOST_STEPS, steps))
    plan = Plan(steps=steps, seeds=seeds, seconds=seconds)
    if seconds is None:
        return plan

    def too_long(plan: Plan) -> bool:
        each = plan.steps * milliseconds_per_step / 1000.0
        return plan.full_runs() * each / max(1, jobs) > 0.8 * seconds

    for change in ({"arms": 4, "finalists": 2}, {"lots": 1}, {"arms": 2}, {"seeds": 3}):
        if too_long(plan):
            plan = replace(plan, **{k: min(v, getattr(plan, k)) for k, v in change.items()})
    while not own and too_long(plan) and plan.steps > 50:
        plan = replace(plan, steps=max(50, round(plan.steps * 0.7)))
    return plan


def budget(text: str) -> tuple[int | None, float | None]:
    """Read a budget.

    Args:
        text: ``"500steps"`` for the steps of every run, ``"60s"`` or ``"5min"`` for the wall time
            of the whole trial.

    Returns:
        Steps and seconds; one of the two is None.

    Raises:
        UnvanishError: If it is neither.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(steps?|s|sec|seconds?|m|min|minutes?|h)?\s*", text)
    example = "--budget 60s  or  --budget 500steps"
    if found is None:
        raise UnvanishError(f"{text!r} is no budget", help=example)
    number, unit = float(found[1]), found[2]
    if unit is None:
        raise UnvanishError(f"the budget {text!r} has no unit", help=example)
    if number <= 0:
        raise UnvanishError(f"a budget of {text!r} allows nothing", help=example)
    if unit.startswith("step"):
        if number != int(number):
            raise UnvanishError(f"{text!r} is no whole number of steps", help=example)
        return int(number), None
    return None, number * {"s": 1.0, "m": 60.0, "h": 3600.0}[unit[0]]
