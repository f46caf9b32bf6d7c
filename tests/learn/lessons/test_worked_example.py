"""The worked example against numbers that were computed to forty digits elsewhere."""

from __future__ import annotations

import pytest

from unvanish.learn import run_lesson
from unvanish.learn.lessons.worked_example import passed

# mpmath, 40 digits.
_BEFORE = {
    "z": (0.5, 0.311229665600927282, 0.288592690072326148),
    "y": (1.0, 0.622459331201854565, 0.577185380144652296, 0.571651565305590766),
    "slopes": (0.235003712201594489, 0.244042417091925515, 0.244866053189258662),
    "to_output": (-0.00341139451287981788, -0.0279573899777825848, -0.228348434694409234),
    "to_weight": (-0.000801690374310907346, -0.00424690869390569575, -0.0322731935243574668),
}
_STEPPED = (0.500080169037431091, 0.50042469086939057, 0.503227319352435747)

_DIGITS = (
    "0.57165156",
    "0.026071503",
    "0.032273193",
    "0.00424690869",
    "0.000801690374",
    "0.500080169",
    "0.500424691",
    "0.503227319",
    "0.572115862",
    "0.02596559",
)


def test_every_number_of_the_first_pass() -> None:
    one = passed(1.0, (0.5, 0.5, 0.5), 0.8)
    for name, wanted in _BEFORE.items():
        assert getattr(one, name) == pytest.approx(wanted, rel=1e-15), name
    assert one.loss == pytest.approx(0.0260715038136934395, rel=1e-14)


def test_the_second_pass() -> None:
    after = passed(1.0, _STEPPED, 0.8)
    assert after.y[-1] == pytest.approx(0.572115862026370113, rel=1e-15)
    assert after.loss == pytest.approx(0.0259655901699921915, rel=1e-14)


def test_every_number_is_printed_to_six_digits_or_more_in_both_forms() -> None:
    working = run_lesson("worked-example", {}).evidence.working
    said = "\n".join(step.text for step in working)
    latex = "\n".join(step.latex for step in working)
    for digits in _DIGITS:
        assert digits in said
        assert digits in latex
