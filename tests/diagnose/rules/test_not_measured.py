"""UV901: gaps are said aloud."""

from __future__ import annotations

from unvanish.core.findings import Severity
from unvanish.core.glossary import Quantity
from unvanish.core.incidents import Gap
from unvanish.core.records import Recording
from unvanish.core.verdicts import Clear, Found, NotMeasured
from unvanish.diagnose.rules.not_measured import CouldNotMeasure
from unvanish.testing import recording_of

examine = CouldNotMeasure().examine


def look(*gaps: Gap, gradient: bool = True) -> Recording:
    profiles = {Quantity.LOG10_ACTIVATION_GRAD_RMS: [-1.0, -1.0]} if gradient else {}
    return recording_of("lstm", "linear", profiles=profiles, gaps=gaps)


def only(verdict):
    assert isinstance(verdict, Found)
    (finding,) = verdict.findings
    return finding


def test_no_gaps_is_clear():
    assert examine(look()) == Clear(summary="everything that was looked for was seen")


def test_a_gap_is_a_note_while_the_rest_was_judged():
    finding = only(examine(look(Gap("the inside of LSTM", "it is one step", 0))))
    assert finding.severity is Severity.NOTE
    assert finding.message == "the inside of LSTM could not be measured: it is one step"
    assert finding.sites[0].op == "lstm"


def test_each_reason_is_said_once():
    gaps = [Gap("the inside of LSTM", "it is one step", 0)] * 3 + [Gap("the probe", "it failed")]
    finding = only(examine(look(*gaps)))
    assert finding.measured == 4.0
    assert finding.message.endswith("(1 more could not)")
    assert finding.notes == ("the probe could not be measured: it failed",)


def test_without_the_gradient_over_depth_it_is_a_warning():
    assert only(examine(look(gradient=False))).severity is Severity.WARNING
    gap = Gap("the gradient over depth", "the backward pass raised")
    finding = only(examine(look(gap, gradient=False)))
    assert finding.severity is Severity.WARNING
    assert finding.measured == 1.0
    assert only(examine(look(gap))).severity is Severity.WARNING
    gap = Gap("gradients below the range of the measured type", "a copy could not be probed")
    assert only(examine(look(gap))).severity is Severity.WARNING


def test_an_empty_recording_is_not_measured():
    assert isinstance(examine(Recording()), NotMeasured)
