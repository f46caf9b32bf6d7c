"""Corrections of finite width against random networks written out in numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest

from unvanish.theory.activations import activation
from unvanish.theory.finite_width import finite_width_gain
from unvanish.theory.mean_field import gradient_profile


def measured(phi, sigma_w2, depth, width, sigma_b2=0.0, networks=60, batch=32):
    """log10 of the gradient's gain, mean and deviation over networks."""
    rng = np.random.default_rng(1)
    logs = []
    for _ in range(networks):
        x = rng.normal(size=(width, batch))
        weights, before = [], []
        for _ in range(depth + 1):
            w = rng.normal(size=(width, width)) * math.sqrt(sigma_w2 / width)
            b = rng.normal(size=(width, 1)) * math.sqrt(sigma_b2)
            z = w @ x + b
            weights.append(w)
            before.append(z)
            x = phi.value(z)
        delta = rng.choice([-1.0, 1.0], size=(width, batch))
        energy = float(np.sum(delta**2))
        for w, z in zip(weights[:0:-1], before[-2::-1], strict=True):
            delta = phi.slope(z) * (w.T @ delta)
        logs.append(0.5 * math.log10(float(np.sum(delta**2)) / energy))
    return float(np.mean(logs)), float(np.std(logs))


@pytest.mark.parametrize(
    ("name", "sigma_w2", "sigma_b2", "depth"),
    [
        ("softplus", 2.0, 0.0, 25),
        ("mish", 2.0, 0.0, 20),
        ("gelu", 1.98306, 0.17292, 20),
        ("tanh", 2.0, 0.0, 20),
        ("relu", 2.0, 0.0, 20),
        ("silu", 1.0, 0.01, 15),
        ("gelu", 1.0, 0.0, 30),  # the length shrinks by eighteen decades
    ],
)
def test_it_agrees_with_random_networks(name, sigma_w2, sigma_b2, depth):
    phi = activation(name)
    seen, deviation = measured(phi, sigma_w2, depth, 96, sigma_b2)
    said = finite_width_gain(phi, sigma_w2, depth, 96, sigma_b2)
    error = 10 ** ((seen - said.log10_gain) / depth) - 1.0
    assert abs(error) < 0.015 + 2.0 * deviation * math.log(10) / depth / math.sqrt(60)


def test_it_mends_what_infinite_width_gets_wrong():
    phi = activation("softplus")
    seen, _ = measured(phi, 2.0, 25, 96)
    infinite = gradient_profile(phi, 2.0, 25, 0.0, 2.0)[0]
    finite = finite_width_gain(phi, 2.0, 25, 96).log10_gain
    assert abs(seen - finite) < 0.25 * abs(seen - infinite)


def test_at_great_width_it_is_the_infinite_one():
    for name, sigma_w2 in (("sigmoid", 1.0), ("tanh", 1.5), ("gelu", 1.0)):
        phi = activation(name)
        infinite = gradient_profile(phi, sigma_w2, 12, 0.0, sigma_w2)[0]
        found = finite_width_gain(phi, sigma_w2, 12, 10**7)
        assert found.log10_gain == pytest.approx(infinite, abs=0.01)
        assert found.deviation < 1e-3


def test_deep_networks_do_not_underflow():
    assert finite_width_gain(activation("sigmoid"), 1.0, 800, 64).log10_gain < -450


def test_numbers_out_of_range_are_refused():
    with pytest.raises(ValueError, match="width and networks at least 2"):
        finite_width_gain(activation("tanh"), 1.0, 3, 1)
