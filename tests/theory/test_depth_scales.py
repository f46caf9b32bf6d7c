"""Depth scales: known activations, limits, and a chain that is multiplied out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from unvanish.theory.depth_scales import depth_scale, trainable_depth


@pytest.mark.parametrize(
    ("chi", "xi"),
    [(1 / 6, 0.5581), (1 / 3, 0.9102), (0.055721, 0.3463), (0.501649, 1.4496), (0.985806, 69.95)],
    ids=["relu, default", "tanh, default", "sigmoid, xavier", "sigmoid, 5", "sigmoid, 10"],
)
def test_known_networks(chi: float, xi: float) -> None:
    assert depth_scale(0.5 * math.log10(chi)) == pytest.approx(xi, rel=1e-3)


def test_growth_and_decay_have_one_scale() -> None:
    assert depth_scale(0.1) == depth_scale(-0.1)


def test_the_energy_changes_by_e_over_one_scale() -> None:
    log10_factor = -0.07
    energy = 10.0 ** (2 * log10_factor * depth_scale(log10_factor))
    assert energy == pytest.approx(math.exp(-1))


def test_the_limits() -> None:
    assert depth_scale(0.0) == math.inf
    assert depth_scale(-math.inf) == 0.0
    assert trainable_depth(0.0) == math.inf
    with pytest.raises(ValueError, match="must be a number"):
        depth_scale(math.nan)


def test_a_wide_linear_chain_has_the_scale_of_its_weights() -> None:
    rng = np.random.default_rng(0)
    width, depth, chi = 300, 20, 0.5
    g = rng.standard_normal(width)
    start = np.linalg.norm(g)
    for _ in range(depth):
        g = rng.standard_normal((width, width)) @ g * math.sqrt(chi / width)
    factor = math.log10(np.linalg.norm(g) / start) / depth
    assert trainable_depth(factor) == pytest.approx(6 / -math.log(chi), rel=0.1)
