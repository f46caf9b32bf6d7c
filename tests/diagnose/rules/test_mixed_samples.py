"""UV510: samples that a layer mixes."""

from __future__ import annotations

from dataclasses import replace

from unvanish.core.findings import Cause, Severity
from unvanish.core.incidents import Crossing
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured
from unvanish.diagnose.rules.mixed_samples import MixedSamples
from unvanish.testing import recording_of

ALONG = Crossing(others=15, changed=12, share=0.2, op="lstm", path="layers.0", shape=(16, 20, 6))


def examine(crossing: Crossing | None):
    return MixedSamples().examine(replace(recording_of("lstm", "linear"), crossing=crossing))


def only(verdict):
    assert isinstance(verdict, Found)
    (finding,) = verdict.findings
    assert finding.causes == (Cause.BATCH_LAYOUT,)
    return finding


def test_a_layer_along_the_batch_is_an_error() -> None:
    finding = only(examine(ALONG))
    assert finding.severity is Severity.ERROR
    assert finding.message == "the LSTM runs along the batch, and not along the sequence"
    assert "12 of 15 other answers changed, by 0.2 of its own change" in finding.notes[0]
    assert "batch_first=True" in finding.help[0]


def test_what_is_torn_is_told_from_what_stands_in_the_wrong_place() -> None:
    finding = only(examine(replace(ALONG, op="gru", is_torn=True)))
    assert finding.message == "the samples are torn before they come to the GRU"
    assert "transpose" in finding.help[0]


def test_a_softmax_is_told_its_dimension() -> None:
    finding = only(examine(replace(ALONG, op="softmax", shape=(16, 3))))
    assert finding.help == ("softmax(..., dim=-1): over what competes within one sample",)


def test_one_step_may_be_a_row_or_a_series() -> None:
    assert only(examine(replace(ALONG, is_single=True))).severity is Severity.NOTE


def test_the_healthy_and_the_others() -> None:
    assert isinstance(examine(Crossing(others=15, changed=0, share=0.0)), Clear)
    meant = examine(Crossing(others=15, changed=15, share=0.4))
    assert isinstance(meant, Clear)
    assert "made for it" in meant.summary
    assert isinstance(examine(None), NotApplicable)
    assert isinstance(examine(replace(ALONG, share=float("nan"))), NotMeasured)
