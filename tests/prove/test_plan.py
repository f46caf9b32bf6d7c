from __future__ import annotations

import math

import pytest

from unvanish.core.errors import UnvanishError
from unvanish.prove.plan import RATES, Plan, budget, planned


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500steps", (500, None)),
        ("500 steps", (500, None)),
        ("1step", (1, None)),
        ("60s", (None, 60.0)),
        ("1.5min", (None, 90.0)),
        ("2m", (None, 120.0)),
        ("1h", (None, 3600.0)),
    ],
)
def test_a_budget_is_steps_of_a_run_or_time_of_the_trial(text, expected):
    assert budget(text) == expected


@pytest.mark.parametrize("text", ["", "much", "60", "0s", "0steps", "-5s", "1.5steps", "s60"])
def test_what_is_no_budget_is_refused_with_the_literal_call(text):
    with pytest.raises(UnvanishError, match=r"budget|number of steps") as error:
        budget(text)
    assert "--budget 60s" in error.value.help


def test_a_fast_network_takes_more_steps_than_a_slow_one():
    fast, slow = (planned(each, jobs=2).steps for each in (1.0, 100.0))
    assert (fast, slow) == (1000, 200)
    assert 200 < planned(5.0, jobs=2).steps < 1000


def test_steps_that_the_user_asks_for_are_kept_whatever_the_time():
    plan = planned(50.0, jobs=1, steps=777, seconds=1.0)
    assert plan.steps == 777
    assert plan.seeds == 3


def test_a_short_budget_takes_arms_before_seeds_and_seeds_before_steps():
    ample = planned(5.0, jobs=2, seconds=3600.0)
    assert (ample.arms, ample.seeds) == (Plan(steps=1).arms, 5)
    tight = planned(5.0, jobs=2, seconds=34.0)
    assert tight.arms < ample.arms
    assert tight.seeds == 5
    least = planned(5.0, jobs=2, seconds=2.0)
    assert least.seeds == 3
    assert least.steps < tight.steps


def test_few_seeds_stay_few():
    assert planned(5.0, jobs=1, seeds=2, seconds=1.0).seeds == 2


def test_a_first_try_is_a_quarter_of_a_run_and_never_longer():
    assert Plan(steps=400).short_steps == 100
    assert Plan(steps=40).short_steps == 25
    assert Plan(steps=10).short_steps == 10


def test_the_own_rate_is_among_those_tried():
    assert 1.0 in RATES


def test_a_plan_is_cut_to_the_runs_there_is_time_for():
    plan = Plan(steps=400)
    assert plan.within(math.inf) == plan
    less = plan.within(20.0)
    assert less.arms < plan.arms
    assert (less.seeds, less.steps, less.lots) == (plan.seeds, plan.steps, plan.lots)
    least = plan.within(1.0)
    assert (least.arms, least.finalists, least.lots, least.seeds) == (2, 1, 0, 5)
