"""A function of one's own: followed where the rules can, refused with the reason where not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from unvanish.theory.activations import activation, from_function
from unvanish.theory.criticality import critical_point, edge_of_chaos, half_stable_point
from unvanish.theory.mean_field import mean_field, second_moment, slope_moment
from unvanish.theory.quadrature import expectation, joint_expectation, resolved


def test_a_steep_function_is_resolved():
    """Of tanh(k z) and large k, E phi'^2 is k^2 times the integral of sech^4 over k."""
    steep = from_function(lambda z: np.tanh(500.0 * z), name="steep")
    exact = 500.0 * 4.0 / 3.0 / math.sqrt(2.0 * math.pi)
    assert slope_moment(steep, 1.0) == pytest.approx(exact, rel=1e-4)
    assert mean_field(steep, 1.0).q == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("rate", [3.0, 30.0, 300.0])
def test_a_fast_wave_is_resolved(rate):
    wave = from_function(lambda z: np.sin(rate * z), name="wave")
    exact = 0.5 * (1.0 - math.exp(-2.0 * rate**2 * 0.3))
    assert second_moment(wave, 0.3) == pytest.approx(exact, rel=1e-6)


def test_over_two_numbers_a_fast_wave_is_refused():
    wave = from_function(lambda z: np.sin(300.0 * z), name="wave")
    with pytest.raises(ValueError, match="too fast at q = 1 for an integral over two"):
        joint_expectation(wave.value, wave.value, 1.0, 0.5, wave.kinks)


def test_a_jump_that_was_not_named_is_refused_with_its_place():
    with pytest.raises(ValueError, match=r"jumps near z = 0\.30\d*: name that place in kinks"):
        from_function(lambda z: np.where(z > 0.3037, 1.0, 0.0))
    with pytest.raises(ValueError, match=r"its slope jumps near z = -0\.3"):
        from_function(lambda z: np.clip(z, -0.37, 0.81))
    with pytest.raises(ValueError, match="changes too fast for the quadrature"):
        expectation(lambda z: np.where(z > 0.3037, 1.0, 0.0), 1.0)


def test_a_kink_that_was_named_costs_no_digits():
    cut = from_function(lambda z: np.clip(z, -0.37, 0.81), kinks=(-0.37, 0.81))
    exact = 0.5 * (math.erf(0.81 / math.sqrt(2)) + math.erf(0.37 / math.sqrt(2)))
    assert slope_moment(cut, 1.0) == pytest.approx(exact, abs=1e-9)


def test_what_takes_one_number_only_is_refused():
    with pytest.raises(ValueError, match=r"numpy.tanh\(2 \* z\) and not math.tanh"):
        from_function(math.tanh)


def test_a_constant_has_no_critical_point():
    constant = from_function(np.ones_like, name="constant")
    assert critical_point(constant) is None
    assert half_stable_point(constant) is None
    with pytest.raises(ValueError, match="constant has slope zero at the length 1"):
        edge_of_chaos(constant, 1.0)


def test_functions_that_are_known_need_no_more_panels():
    for name in ("tanh", "sigmoid", "gelu", "silu"):
        phi = activation(name)
        assert resolved([phi.value, phi.slope], phi.kinks) == phi.kinks
