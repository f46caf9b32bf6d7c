"""UV405: gradients that hardly agree are a note, and only where three batches show it."""

from __future__ import annotations

import math
from dataclasses import replace

from unvanish.core.conditions import GradientNoise, RunContext
from unvanish.core.findings import Severity
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured
from unvanish.diagnose.rules.noisy import NoisyUpdates
from unvanish.testing import recording_of


def examine(ratio: float, error: float = 0.005):
    noise = GradientNoise(parts=3, samples=32, signal_to_noise=ratio, standard_error=error)
    return NoisyUpdates().examine(replace(recording_of("linear"), noise=noise))


def test_gradients_that_hardly_agree_are_a_note():
    verdict = examine(0.01)
    assert isinstance(verdict, Found)
    (finding,) = verdict.findings
    assert finding.severity is Severity.NOTE
    assert finding.help[0].startswith("take 10 times as many samples")
    assert "1 % of what the true gradient would" in finding.notes[0]
    assert "many times" in examine(-0.02).findings[0].help[0]


def test_a_rough_estimate_is_no_evidence():
    assert isinstance(examine(0.01, error=0.03), Clear)
    assert isinstance(examine(0.01, error=math.nan), Clear)
    assert examine(2.0).margin == 1.9


def test_one_batch_tells_nothing():
    one = recording_of("linear", context=RunContext(batches=1))
    assert isinstance(NoisyUpdates().examine(one), NotApplicable)
    several = recording_of("linear", context=RunContext(batches=3))
    assert isinstance(NoisyUpdates().examine(several), NotMeasured)
    assert isinstance(examine(math.nan), NotMeasured)
