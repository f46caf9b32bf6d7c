"""The cost benchmark: its arithmetic, its page, a turn of every arm that needs no other tool."""

from __future__ import annotations

import math

import pytest
from benchmarks.watching.__main__ import ARMS, measured
from benchmarks.watching.arms import Arm, EveryParameters, Everything, PlainAgain, Unvanish
from benchmarks.watching.cases import SMALL
from benchmarks.watching.page import short, written
from benchmarks.watching.turns import Taken, cost, over, spread


def test_an_average_step_is_made_of_medians_by_their_shares():
    turns = [[("sample", 9.0), ("between", 1.0)], [("sample", 11.0), ("between", 1.0)]]
    assert cost(turns, {"sample": 0.02, "between": 0.98}) == pytest.approx(0.02 * 10 + 0.98)
    assert math.isnan(cost(turns, {"other": 1.0}))


def test_what_other_threads_take_counts():
    mine = Taken(turns=[[("every", 2.0)]], background=1.0)
    assert over(mine, mine.turns, [[("every", 2.0)]], {"every": 1.0}) == 1.5


def test_equal_turns_have_no_spread():
    taken = Taken(turns=[[("every", 2.0)]] * 5, plain=[[("every", 1.0)]] * 5)
    assert spread(taken, Taken(), {"every": 1.0}) == (2.0, 2.0)


@pytest.mark.parametrize("arm", ARMS)
def test_every_step_of_a_long_run_is_of_a_kind_that_has_a_share(arm):
    shares = arm.shares()
    assert sum(shares.values()) == pytest.approx(1.0)
    assert {arm.kind(step) for step in range(5_000, 5_100)} == set(shares)


def test_one_step_in_fifty_is_a_sample():
    assert Unvanish.shares()["whole sample"] == 0.02
    assert EveryParameters.shares()["whole sample"] == 0.1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_arms_take_turns():
    arms = (Arm, PlainAgain, Unvanish, EveryParameters, Everything)
    found = measured(SMALL, arms, "cpu", 40)
    assert not found["not_measured"]
    assert list(found["arms"]) == [arm.name for arm in arms]
    assert all(row["ratio"] > 0.5 and row["memory_mib"] > 0 for row in found["arms"].values())
    found["command"] = "python -m benchmarks.watching"
    result = {"models": {"small": found}, "arms": {}}
    assert "| unvanish |" in written(result)
    assert "| unvanish, every step: everything | " in short(result)
