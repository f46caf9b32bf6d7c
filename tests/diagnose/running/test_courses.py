"""What the rules make of courses that were once judged wrongly."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from tests.diagnose.running.recorded import learned, run_of

from unvanish.core.glossary import StepQuantity
from unvanish.core.runs import EventKind, RunEvent, StepSeries
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured
from unvanish.diagnose.running import diagnose_run
from unvanish.diagnose.running.course import Stretch, need_not_fall, since_jump, unsettled
from unvanish.diagnose.running.losses import climbing_since, progress_of


def jumped(step):
    return RunEvent(step=step, kind=EventKind.JUMPED, text="the loss jumped from 0.1 to 5")


def finding(code, **formulas):
    verdict = diagnose_run(run_of(**formulas)).verdicts[code]
    assert isinstance(verdict, Found), verdict
    return verdict.findings[0]


def verdict(code, **formulas):
    return diagnose_run(run_of(**formulas)).verdicts[code]


@pytest.mark.parametrize(
    ("pattern", "step"), [("....xx", 40), (".....x", -1), ("...xxx", -1), ("xx....", -1)]
)
def test_two_samples_at_the_end_are_too_few_to_be_sure(pattern, step):
    assert unsettled([(10 * i, sign == "x") for i, sign in enumerate(pattern)]) == step


@pytest.mark.parametrize(
    ("code", "formulas"),
    [
        ("UV602", {"gradient": lambda k, t: -2.5 - (4.0 if k < 2 and t >= 900 else 0.0)}),
        ("UV604", {"dead": lambda t: 0.95 if t >= 900 else 0.05}),
        (
            "UV605",
            {"activation": "Tanh", "loss": 2.3, "saturated": lambda t: 0.9 if t >= 900 else 0.02},
        ),
    ],
)
def test_what_may_just_have_begun_is_neither_found_nor_clear(code, formulas):
    found = verdict(code, **formulas)
    assert isinstance(found, NotMeasured)
    assert "a third sample since step 900" in found.missing


def test_a_jump_between_two_samples_names_the_step():
    stretch = Stretch(350, 300, 900, 12)
    assert since_jump(run_of(events=[jumped(317)]), stretch).step == 317
    assert since_jump(run_of(events=[jumped(299), jumped(351)]), stretch).step == 350
    whole = Stretch(0, -1, 900, 12)
    assert since_jump(run_of(events=[jumped(0)]), whole) is whole


@pytest.mark.parametrize("loss", [lambda t: 5.0 if t >= 318 else learned(t), 2.3])
def test_units_that_died_at_a_jump_have_its_step(loss):
    found = finding(
        "UV604", loss=loss, dead=lambda t: 0.95 if t >= 350 else 0.05, events=[jumped(318)]
    )
    assert found.step == 318
    assert "began at step 318 (last sound sample at step 300)" in found.notes[0]


def test_dead_units_of_a_network_that_has_learned_are_milder():
    dead = {"dead": lambda t: 0.95 if t >= 400 else 0.05}
    assert finding("UV604", **dead, loss=2.3).severity.value == "error"
    assert finding("UV604", **dead).severity.value == "warning"
    assert finding("UV604", dead=lambda t: 0.8 if t >= 400 else 0.05).severity.value == "note"


def test_a_spike_that_came_halfway_back_is_still_open():
    found = finding(
        "UV612",
        loss=lambda t: 10.0 if 301 <= t < 320 else 0.9 if t >= 320 else learned(t),
        dead=lambda t: 0.97 if t >= 350 else 0.05,
        events=[jumped(301)],
    )
    assert found.step == 301


def test_too_few_samples_after_a_spike_are_not_measured():
    found = verdict("UV612", loss=lambda t: 5.0 if t >= 920 else learned(t))
    assert isinstance(found, NotMeasured)
    assert "three samples since the spike at step 920" in found.missing


def test_the_step_from_which_the_loss_only_climbed():
    def loss(t):
        return math.nan if t >= 700 else 0.1 if t < 400 else 0.1 * 1.008 ** (t - 400)

    step, sound = climbing_since(run_of(loss=lambda t: 2.3 if t < 50 else loss(t)))
    assert 385 <= step <= 440
    assert sound < step


def test_an_end_of_numbers_without_a_climb():
    run = run_of(loss=lambda t: math.nan if t >= 700 else learned(t))
    assert climbing_since(run) == (700, 699)


def test_a_first_step_that_was_never_made_good():
    found = finding(
        "UV611",
        loss=lambda t: 2.3 if t == 0 else 2.4 + 1e4 * math.exp(-t / 10),
        noise=0.005,
        update=lambda t: 0.5 if t == 0 else -3.0,
    )
    assert (found.step, found.severity.value) == (0, "error")
    assert "never again below its first value, 2.3" in found.message


def test_a_raised_learning_rate_between_samples_names_its_step():
    found = finding(
        "UV611",
        loss=lambda t: 5.0 if t >= 318 else learned(t),
        events=[
            RunEvent(step=317, kind=EventKind.RATE, text="the learning rate rose from 0.001 to 0.1")
        ],
    )
    assert found.step == 317
    assert "last sound sample at step 300" in found.notes[0]


def test_steps_left_out_begin_with_the_first_of_them():
    skipped = [
        RunEvent(step=step, kind=EventKind.SKIPPED, text="") for step in (0, 1, *range(317, 1000))
    ]
    found = finding("UV609", autocast="float16", loss=2.3, scale=1024.0, events=skipped)
    assert found.step == 317


def test_gradients_that_turn_around_need_no_swinging_loss():
    assert finding("UV607", loss=2.3, noise=0.0, alignment=-0.98).step == 0
    assert isinstance(verdict("UV607", loss=2.3, noise=0.02, alignment=-0.3), Clear)


def test_a_surrogate_loss_need_not_fall():
    surrogate = run_of(loss=lambda t: 0.3 * math.sin(7.0 * t), noise=0.0)
    assert "changes its sign" in need_not_fall(surrogate)
    verdicts = diagnose_run(surrogate).verdicts
    for code in ("UV606", "UV607", "UV608", "UV612"):
        assert isinstance(verdicts[code], NotApplicable)
    assert need_not_fall(run_of(loss=lambda t: 1.0 - t / 20, noise=0.02)) == ""


@pytest.mark.parametrize(
    ("asked", "is_silent"),
    [
        (lambda _: True, True),
        (lambda step: step in {1, 2}, False),  # a look at the network before it begins
        (lambda step: step % 4 == 0, False),  # at the end of an epoch
    ],
)
def test_an_agent_that_acts_need_not_have_a_falling_loss(asked, is_silent):
    run = run_of(loss=lambda t: 0.2 + 0.8 * abs(t - 500) / 500, noise=0.01)
    steps = tuple(sorted({0, 1, 2, 4, 8, 16, 32, *range(0, 1000, 50)}))
    answers = StepSeries(StepQuantity.ANSWERS, steps, [float(asked(step)) for step in steps])
    verdicts = diagnose_run(
        replace(run, by_step={**run.by_step, StepQuantity.ANSWERS: answers})
    ).verdicts
    assert isinstance(verdicts["UV607"], NotApplicable if is_silent else Found)
    if is_silent:
        assert "an agent" in verdicts["UV607"].reason


def test_a_fall_within_the_first_steps_is_a_fall():
    fast = run_of(loss=lambda t: 2.43 + 0.4 * math.exp(-t / 3), noise=0.01, alignment=0.5)
    assert progress_of(fast).has_sunk
    assert not progress_of(run_of(loss=2.43, noise=0.01)).has_sunk
    assert isinstance(diagnose_run(fast).verdicts["UV608"], Clear)


def test_noise_is_told_within_the_step_where_it_can_be():
    run = run_of(loss=2.3, alignment=0.4)  # successive steps agree, as with momentum of the data
    steps = tuple(run.by_step[StepQuantity.LOG10_GRAD_NORM].steps)
    values = tuple(0.02 * (-1) ** n for n in range(len(steps)))
    shares = StepSeries(StepQuantity.SIGNAL_SHARE, steps, values)
    by_step = {**run.by_step, StepQuantity.SIGNAL_SHARE: shares}
    assert isinstance(diagnose_run(run).verdicts["UV606"], Clear)
    found = diagnose_run(replace(run, by_step=by_step)).verdicts["UV606"]
    assert isinstance(found, Found)
    assert "micro-batches of one step do not agree" in found.findings[0].message
