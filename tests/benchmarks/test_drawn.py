from __future__ import annotations

import ast
from collections import Counter

import pytest
from benchmarks.drawn.build import FAMILIES, score, text
from benchmarks.drawn.draw import FAULTS, draw
from benchmarks.drawn.tasks import TASKS

MANY = [draw(seed) for seed in range(1500)]


def test_a_seed_always_draws_the_same():
    assert draw(7) == draw(7)
    assert draw(7) != draw(8)


def test_every_fault_family_and_task_comes_up():
    assert {each.fault for each in MANY} == {"", *FAULTS}
    assert {each.given.family for each in MANY} == {*FAMILIES}
    assert {each.task.name for each in MANY} == {*TASKS}


def test_every_file_can_be_read_and_differs_where_something_is_wrong():
    for each in MANY:
        well, given = (text(build, each.task) for build in (each.well, each.given))
        ast.parse(well)
        ast.parse(given)
        assert (well != given) == bool(each.fault), each.seed


def test_about_one_in_five_is_left_as_it_should_be():
    assert 0.15 < Counter(each.fault for each in MANY)[""] / len(MANY) < 0.25


@pytest.mark.parametrize("family", FAMILIES)
def test_a_file_of_every_family_makes_a_network_that_its_metric_takes(family):
    drawn = next(each for each in MANY if each.well.family == family)
    names: dict = {}
    exec(text(drawn.well, drawn.task), names)
    model = names["model"]()
    inputs, target = next(iter(names["data"]()))
    assert names["loss"](model(inputs), target).isfinite()
    names["optimizer"](model).step()
    assert eval(score(drawn.task, "test"), names | {"model": model}) <= 1.0
