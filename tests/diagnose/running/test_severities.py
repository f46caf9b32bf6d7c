"""What a finding weighs, and which cause it names."""

from __future__ import annotations

import math

import pytest
from click.testing import CliRunner
from tests.diagnose.running.recorded import learned, run_of

from unvanish.cli import app
from unvanish.core.codec import decode_diagnosis, encode_diagnosis
from unvanish.core.findings import Cause, Finding
from unvanish.core.runs import EventKind, RunEvent, RunRecording
from unvanish.diagnose.running import diagnose_run
from unvanish.diagnose.running.rules import BUILTIN_RUN_RULES


def finding(code: str, run: RunRecording) -> Finding:
    (found,) = [f for f in diagnose_run(run).findings if f.code == code]
    return found


def still(**formulas: object) -> RunRecording:
    return run_of(moved=lambda k, _: 0.0 if k == 1 else 1.0, **formulas)


def test_a_part_that_is_not_used_is_a_warning_where_the_rest_learns() -> None:
    assert finding("UV601", still(loss=learned)).severity.value == "warning"
    assert finding("UV601", still(loss=2.3)).severity.value == "error"


def test_steps_that_16_bits_round_away_are_named_so() -> None:
    assert finding("UV601", still(dtype="bfloat16")).causes == (Cause.PRECISION,)
    assert finding("UV601", still()).causes == (Cause.DEPTH_WITHOUT_SKIP,)


def test_an_optimiser_that_moves_nothing_is_an_error() -> None:
    found = finding("UV601", run_of(moved=0.0, loss=2.3))
    assert "no step of Adam(lr 0.001) moves any of its 5 layers" in found.message


def test_a_spike_is_a_note_where_it_heals_and_an_error_above_the_first_level() -> None:
    healed = run_of(loss=lambda t: 5.0 if 500 <= t < 540 else learned(t))
    below = run_of(loss=lambda t: 1.5 if t >= 500 else learned(t), noise=0.01)
    above = run_of(loss=lambda t: 9.0 if t >= 500 else learned(t))
    severities = [finding("UV603", run).severity.value for run in (healed, below, above)]
    assert severities == ["note", "warning", "error"]


def test_a_raised_rate_between_two_samples_is_the_root() -> None:
    event = RunEvent(step=320, kind=EventKind.RATE, text="the learning rate rose from 0.05 to 20")
    run = run_of(loss=lambda t: math.nan if t >= 324 else learned(t), events=[event])
    found = diagnose_run(run).findings
    assert [(f.code, f.root) for f in found] == [("UV611", ""), ("UV603", "UV611")]
    assert found[0].step == 320


def test_a_scale_that_has_gone_down_is_an_error() -> None:
    run = run_of(autocast="float16", scale=lambda t: 65536.0 if t < 200 else 0.5)
    found = finding("UV609", run)
    assert found.step == 200
    assert "gone down to 0.5" in found.message


def test_steps_left_out_are_counted_in_the_second_half() -> None:
    def run(steps: range) -> RunRecording:
        events = [RunEvent(step=s, kind=EventKind.SKIPPED, text="skipped") for s in steps]
        return run_of(autocast="float16", scale=lambda t: 2.0 + t % 3, events=events)

    assert "UV609" not in {f.code for f in diagnose_run(run(range(12))).findings}
    assert "leaves out 16 % of the steps" in finding("UV609", run(range(600, 1000, 5))).message


def test_clipping_weighs_less_where_the_optimiser_rescales() -> None:
    for optimizer, severity in (("Adam", "note"), ("SGD", "warning")):
        run = run_of(norm=2.0, clipped=0.0, optimizer=optimizer)
        assert finding("UV610", run).severity.value == severity


def test_a_loss_that_swings_from_step_to_step() -> None:
    run = run_of(loss=lambda t: 2.0 + 0.5 * (-1) ** t, noise=0.01, alignment=-0.9)
    assert finding("UV607", run).causes == (Cause.LEARNING_RATE,)


def test_steps_stay_in_a_saved_diagnosis() -> None:
    diagnosis = diagnose_run(run_of(loss=lambda t: math.nan if t >= 700 else learned(t)))
    assert decode_diagnosis(encode_diagnosis(diagnosis)).findings[0].step == 700


@pytest.mark.parametrize("rule", BUILTIN_RUN_RULES, ids=lambda rule: rule.code)
def test_every_rule_has_a_page_by_code_and_by_name(rule: object) -> None:
    pages = [CliRunner().invoke(app, ["explain", word]) for word in (rule.code, rule.name)]  # type: ignore[attr-defined]
    assert [page.exit_code for page in pages] == [0, 0]
    assert pages[0].stdout == pages[1].stdout
    assert "What it measures" in pages[0].stdout
