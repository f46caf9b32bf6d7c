"""UV202: dead units, and ordinary sparsity that is no death."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from unvanish.core.conditions import RunContext
from unvanish.core.findings import Cause, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.records import Parameter, Recording, Site
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured
from unvanish.diagnose.rules.dead import DeadUnits
from unvanish.testing import recording_of

examine = DeadUnits().examine


def relu_net(
    dead: float, expected: float, *, units: int = 64, later: Recording | None = None
) -> Recording:
    relu = Site(index=0, path="net.1", op="relu", shape=(32, units), size=32 * units)
    return recording_of(
        "linear",
        relu,
        "linear",
        profiles={
            Quantity.DEAD_FRACTION: [None, dead, None],
            Quantity.EXPECTED_DEAD_FRACTION: [None, expected, None],
        },
        context=RunContext(batch_size=16, batches=2),
        later=later,
    )


def only(verdict):
    assert isinstance(verdict, Found)
    (finding,) = verdict.findings
    return finding


@pytest.mark.parametrize(
    ("dead", "expected", "severity"),
    [
        (0.4, 0.01, Severity.NOTE),
        (0.6, 0.01, Severity.WARNING),
        (0.92, 0.01, Severity.ERROR),
        (1.0, 0.01, Severity.ERROR),
        (0.85, 0.5, Severity.WARNING),
        (1.0, 0.5, Severity.ERROR),
    ],
)
def test_severity(dead, expected, severity):
    finding = only(examine(relu_net(dead, expected)))
    assert finding.severity is severity
    assert (finding.measured, finding.expected) == (dead, expected)
    assert finding.limit == pytest.approx(expected + 0.3 * (1 - expected))
    assert finding.causes == (Cause.BIAS,)


@pytest.mark.parametrize(
    ("dead", "expected"),
    [(0.0, 0.0), (0.02, 0.02), (0.5, 0.5), (0.48, 0.5), (0.55, 0.45), (0.25, 0.0)],
    ids=["none", "null", "one sample", "alike", "near null", "a few"],
)
def test_what_chance_explains_is_clear(dead, expected):
    verdict = examine(relu_net(dead, expected))
    assert isinstance(verdict, Clear)
    assert 0.0 <= verdict.margin <= 0.3


def test_bad_luck_in_a_narrow_layer_is_clear():
    """Six of eight units silent where half are expected: one such layer in seven."""
    assert isinstance(examine(relu_net(0.75, 0.5, units=8)), Clear)
    assert isinstance(examine(relu_net(0.75, 0.5, units=256)), Found)


def test_a_batch_that_is_too_small_asks_for_more_samples():
    verdict = examine(relu_net(1.0, 0.5, units=4))
    assert isinstance(verdict, NotMeasured)
    assert "bring at least 128 different samples" in verdict.missing
    assert isinstance(examine(relu_net(0.9, 0.85)), NotMeasured)


def test_the_bound_on_chance_holds():
    """exp(-n KL) is above the exact binomial tail."""
    from unvanish.diagnose.rules.dead import _Look

    for n, k, e in [(8, 6, 0.5), (32, 20, 0.3), (64, 64, 0.5), (10, 3, 0.01)]:
        tail = sum(math.comb(n, j) * e**j * (1 - e) ** (n - j) for j in range(k, n + 1))
        look = _Look(Site(index=0, path="", op="relu"), k / n, e, n)
        assert 10**look.log10_chance >= tail


def test_a_layer_that_lives_again_after_probe_steps_is_clear():
    later = relu_net(0.1, 0.01)
    verdict = examine(relu_net(0.6, 0.01, later=later))
    assert isinstance(verdict, Clear)
    assert "alive again" in verdict.summary
    still = examine(relu_net(0.6, 0.01, later=relu_net(0.7, 0.01)))
    assert "still dead after a few training steps" in " ".join(only(still).notes)


def test_functions_without_a_flat_part_are_not_its_matter():
    assert isinstance(examine(recording_of("linear", "gelu", "linear")), NotApplicable)
    assert isinstance(examine(recording_of("linear", "relu", "linear")), NotMeasured)


def test_a_dead_output_is_a_finding_of_its_own():
    recording = recording_of(
        "linear",
        "relu",
        "linear",
        "relu",
        profiles={
            Quantity.DEAD_FRACTION: [None, 0.5, None, 1.0],
            Quantity.EXPECTED_DEAD_FRACTION: [None, 0.01, None, 0.01],
        },
    )
    hidden, output = examine(recording).findings
    assert hidden.sites[0].path == "layers.1"
    assert output.sites[0].path == "layers.3"
    assert output.help[0].startswith("remove the activation after the last layer")


@pytest.mark.parametrize(
    ("rms", "weight", "bias", "cause"),
    [
        (40.0, 0.06, 0.0, Cause.INPUT_SCALE),
        (40.0, 4.0, 0.0, Cause.INIT_TOO_LARGE),
        (40.0, 0.06, 39.0, Cause.BIAS),
        (1.0, 0.06, 0.0, Cause.BIAS),
    ],
)
def test_the_cause_needs_numbers(rms, weight, bias, cause):
    recording = relu_net(0.95, 0.01)
    values = recording_of(
        "linear", "relu", "linear", profiles={Quantity.ACTIVATION_RMS: [rms, rms, rms]}
    )
    recording = replace(
        recording,
        profiles={**recording.profiles, **values.profiles},
        parameters=(
            Parameter(name="layers.0.weight", shape=(64, 100), rms=weight),
            Parameter(name="layers.0.bias", shape=(64,), rms=bias),
        ),
    )
    assert only(examine(recording)).causes == (cause,)


def test_units_of_a_feature_map_are_its_channels():
    """Eight channels of 32 x 32 are eight units, so six silent ones may be bad luck."""
    recording = relu_net(0.75, 0.5)
    sites = list(recording.sites)
    sites[1] = replace(sites[1], shape=(1, 8, 32, 32), size=8 * 32 * 32)
    assert isinstance(examine(replace(recording, sites=tuple(sites))), Clear)


def test_what_has_no_null_is_said():
    recording = recording_of(
        "relu",
        "linear",
        "relu",
        "linear",
        profiles={
            Quantity.DEAD_FRACTION: [0.1, None, 0.9, None],
            Quantity.EXPECTED_DEAD_FRACTION: [0.1, None, None, None],
        },
    )
    assert examine(recording).summary.endswith("; 1 more could not be measured")
