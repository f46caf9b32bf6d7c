"""The share of units that chance leaves silent: exact cases, limits, Monte Carlo."""

from __future__ import annotations

import math

import numpy as np
import pytest

from unvanish.theory.dead_units import expected_dead_fraction, independent_samples


@pytest.mark.parametrize("samples", [2, 5, 9, 100, 10_000, 10**6])
def test_half_correlated_samples_leave_one_in_n_plus_one(samples):
    assert expected_dead_fraction(samples, 0.5) == pytest.approx(1 / (samples + 1), abs=1e-12)


@pytest.mark.parametrize("cosine", [1e-9, 0.001, 0.3, 0.499, 0.501, 0.9, 0.999, 1 - 1e-9])
def test_two_samples_follow_sheppard(cosine):
    exact = 0.25 + math.asin(cosine) / (2 * math.pi)
    assert expected_dead_fraction(2, cosine) == pytest.approx(exact, abs=1e-12)


@pytest.mark.parametrize("cosine", [0.2, 0.6, 0.95, 0.99999])
def test_three_samples_follow_the_orthant_formula(cosine):
    exact = 0.125 + 3 * math.asin(cosine) / (4 * math.pi)
    assert expected_dead_fraction(3, cosine) == pytest.approx(exact, abs=1e-12)


def test_the_limits():
    assert expected_dead_fraction(1, 0.3) == 0.5
    assert expected_dead_fraction(10, 0.0) == 2**-10
    assert expected_dead_fraction(10, -0.4) == 2**-10
    assert expected_dead_fraction(10, 1.0) == 0.5
    assert expected_dead_fraction(10, 1.0 + 1e-7) == 0.5
    assert expected_dead_fraction(10, 1 - 1e-14) == pytest.approx(0.5, abs=1e-6)
    assert expected_dead_fraction(10, 1e-12) == pytest.approx(2**-10, abs=1e-12)


def test_it_rises_with_likeness_and_falls_with_samples():
    by_cosine = [expected_dead_fraction(64, c) for c in np.linspace(0, 1, 101)]
    assert by_cosine == sorted(by_cosine)
    by_samples = [expected_dead_fraction(n, 0.8) for n in (1, 2, 4, 16, 256, 4096)]
    assert by_samples == sorted(by_samples, reverse=True)


@pytest.mark.parametrize(("samples", "cosine"), [(8, 0.1), (16, 0.6), (64, 0.9), (256, 0.98)])
def test_monte_carlo(samples, cosine):
    """Draw units with random weights over samples with the given cosine."""
    rng = np.random.default_rng(0)
    units = 40_000
    shared, own = rng.standard_normal((units, 1)), rng.standard_normal((units, samples))
    z = math.sqrt(cosine) * shared + math.sqrt(1 - cosine) * own
    dead = float(np.mean(z.max(axis=1) < 0))
    expected = expected_dead_fraction(samples, cosine)
    error = math.sqrt(expected * (1 - expected) / units)
    assert dead == pytest.approx(expected, abs=4 * error)


def test_a_real_layer_agrees():
    """Random weights, not random pre-activations: a wide ReLU layer on inputs with an offset."""
    rng = np.random.default_rng(1)
    inputs = rng.standard_normal((32, 400)) + 1.0
    unit = inputs / np.linalg.norm(inputs, axis=1, keepdims=True)
    gram = unit @ unit.T
    cosine = float(gram[~np.eye(32, dtype=bool)].mean())
    dead = float(np.mean((inputs @ rng.standard_normal((400, 20_000))).max(axis=0) < 0))
    assert dead == pytest.approx(expected_dead_fraction(32, cosine), abs=0.01)


@pytest.mark.parametrize(
    ("samples", "cosine", "message"),
    [(0, 0.5, "samples must be at least 1, but is 0"), (3, math.nan, "cosine must be a number")],
)
def test_arguments_that_mean_nothing_are_refused(samples, cosine, message):
    with pytest.raises(ValueError, match=message):
        expected_dead_fraction(samples, cosine)


def test_random_samples_count_as_themselves():
    """Their directions grow with their number: what 32 of them show holds for all 500."""
    rng = np.random.default_rng(2)
    samples = rng.standard_normal((500, 5_000))
    few = samples[:32] - samples[:32].mean(0)
    s = np.linalg.svd(few, compute_uv=False)
    directions = float((s**2).sum() ** 2 / (s**4).sum())
    assert independent_samples(500, directions, 32) == pytest.approx(500, rel=0.1)


@pytest.mark.parametrize(("samples", "directions"), [(1, 1.0), (5, 0.0), (5, math.nan)])
def test_samples_without_a_direction_count_as_one(samples, directions):
    assert independent_samples(samples, directions, samples) == 1.0


@pytest.mark.parametrize("offset", [0.0, 1.0, 3.0])
def test_points_on_a_line_never_have_more_silent_units_than_expected(offset):
    rng = np.random.default_rng(3)
    points = np.stack([rng.random(400) + offset, np.ones(400)], 1)
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    cosine = float(((unit.sum(0) ** 2).sum() - 400) / (400 * 399))
    dead = float(np.mean((points @ rng.standard_normal((2, 50_000))).max(axis=0) < 0))
    widest = math.acos(float(np.clip(unit @ unit.T, -1, 1).min()))
    assert dead == pytest.approx(0.5 - widest / (2 * math.pi), abs=0.01)
    assert expected_dead_fraction(400, cosine) < dead
    assert dead < expected_dead_fraction(independent_samples(400, 1.0, 32), cosine)
