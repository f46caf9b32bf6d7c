"""The zoo's truth table at one seed: the development half is held to it, the reserved half run.

The reserved half decides no limit, so a test that failed on it would tempt somebody to move
one. `make bench` counts how often the verdicts on it are right.
"""

from __future__ import annotations

import pytest
from benchmarks.accuracy import examine

from unvanish.zoo.patient import Half, half_of, patient_of, patients

DEVELOPMENT = [name for name in patients() if half_of(name) is Half.DEVELOPMENT]
MISSED = {
    "flow_unbounded_scale": "UV102: 3.1 decades against a limit of 4",
}
"""Sick patients that are not found with their root, and why; a rule that learns to is welcome."""
RESERVED = [name for name in patients() if half_of(name) is Half.RESERVED]


def test_neither_half_is_small() -> None:
    for half in (DEVELOPMENT, RESERVED):
        sick = sum(patient_of(name).is_sick for name in half)
        assert min(sick, len(half) - sick) >= 0.25 * len(half)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.xfail(reason=MISSED[name])) if name in MISSED else name
        for name in DEVELOPMENT
    ],
)
def test_a_patient_gets_its_verdict(name: str) -> None:
    run = examine((name, 0, {}))
    assert not run.crash
    assert not run.false
    assert run.is_found is run.is_sick
    assert run.is_cause_right is run.is_sick


@pytest.mark.parametrize("name", RESERVED)
def test_a_reserved_patient_can_be_checked(name: str) -> None:
    run = examine((name, 0, {}))
    assert not run.crash
    assert run.seconds < 120
