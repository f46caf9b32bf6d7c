"""Every lesson: its claim holds with margin over seeds, fails where it says so, and is complete."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from unvanish.core.lessons import Curves, Pictures, Relation, Status
from unvanish.learn import run_lesson
from unvanish.learn.lesson import Lesson
from unvanish.learn.lessons import LESSONS
from unvanish.learn.settings import options
from unvanish.show.lesson import lesson_text
from unvanish.show.lesson_files import lesson_json, lesson_markdown

_SEEDS = (0, 1, 2)
_MARGIN = 0.05

by_name = pytest.mark.parametrize("lesson", LESSONS, ids=[one.name for one in LESSONS])


@pytest.mark.parametrize("seed", _SEEDS)
@by_name
def test_claim_holds_with_margin(lesson: Lesson[Any], seed: int) -> None:
    has_seed = any(one.name == "seed" for one in options(lesson.settings()))
    if seed and not has_seed:
        pytest.skip("nothing in it is random")
    before = torch.get_rng_state()
    run = run_lesson(lesson.name, {"seed": seed} if has_seed else {})
    assert torch.equal(before, torch.get_rng_state())
    assert run.evidence.points
    for point in run.evidence.points:
        if point.relation is Relation.ABOUT:
            assert point.margin >= _MARGIN * point.tolerance, point
        else:
            assert point.margin >= _MARGIN, point
    for text in (lesson_text(run, width=60), lesson_text(run, width=80, ascii=True)):
        assert max(map(len, text.splitlines())) <= 80
    assert lesson_text(run, ascii=True).isascii()
    assert lesson_json(run)
    assert lesson_markdown(run)


@by_name
def test_claim_fails_where_the_lesson_says_so(lesson: Lesson[Any]) -> None:
    if not lesson.counterexample:
        pytest.skip("it names no settings")
    assert run_lesson(lesson.name, lesson.counterexample).status is Status.FAILS


@by_name
def test_is_complete(lesson: Lesson[Any]) -> None:
    assert len(lesson.title) <= 50
    assert lesson.title[0].isupper()
    for words in (lesson.claim, lesson.falsified_by, lesson.question, lesson.answer):
        assert words.strip().endswith((".", "?", "`.", ")")), words
    assert lesson.question.strip().endswith("?")
    assert len(lesson.text.split()) >= 80
    assert lesson.sources
    for line in lesson.text.splitlines():
        if line.startswith("    "):
            assert len(line) <= 74, line


def test_names_are_unique() -> None:
    assert len({one.name for one in LESSONS}) == len(LESSONS)


@by_name
def test_draws_something(lesson: Lesson[Any]) -> None:
    if lesson.name == "worked-example":
        pytest.skip("its evidence is a calculation")
    plots = run_lesson(lesson.name, {}).evidence.plots
    assert plots
    for plot in plots:
        match plot:
            case Curves():
                assert 1 <= len(plot.series) <= 6
            case Pictures():
                assert plot.images


def test_measures_alike_whatever_the_caller_has_set() -> None:
    usual = run_lesson("product", {"depth": 4})
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.inference_mode():
            other = run_lesson("product", {"depth": 4})
            assert torch.is_inference_mode_enabled()
        assert torch.get_default_dtype() is torch.float64
    finally:
        torch.set_default_dtype(before)
    assert usual.evidence.points == other.evidence.points


def test_call_names_numbers_as_they_are_typed() -> None:
    run = run_lesson("worked-example", {"x": 2, "weight": 0.25})
    assert run.call() == "unvanish learn worked-example --x 2 --weight 0.25"


def test_a_long_title_is_wrapped() -> None:
    run = run_lesson("worked-example", {})
    assert max(map(len, lesson_text(run, width=52).splitlines()[:3])) <= 52
