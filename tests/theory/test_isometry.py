"""Directions of the gradient: exact cases, and random matrices multiplied out."""

from __future__ import annotations

import numpy as np
import pytest

from unvanish.theory.isometry import expected_directions


def directions(jacobian: np.ndarray) -> float:
    """Return (tr M)^2 / tr M^2 for M = J J^T, outputs along the first axis."""
    gram = jacobian @ jacobian.T
    return float(np.trace(gram) ** 2 / np.trace(gram @ gram))


def test_exact_cases() -> None:
    assert expected_directions(10, 90) == pytest.approx(9.0)
    assert expected_directions(10, 1e9) == pytest.approx(10.0)
    assert expected_directions(1, 1e9) == pytest.approx(1.0)
    assert expected_directions(20, 100, layers=5, kappa=1.0) == pytest.approx(1 / 0.11)


@pytest.mark.parametrize("layers", [0, 5, 15])
def test_gaussian_layers(layers: int) -> None:
    rng = np.random.default_rng(0)
    width, outputs = 200, 20
    found = []
    for _ in range(12):
        j = rng.standard_normal((outputs, width))
        for _ in range(layers):
            j = j @ rng.standard_normal((width, width))
        found.append(directions(j))
    expected = expected_directions(outputs, width, layers, kappa=1.0)
    assert np.mean(found) == pytest.approx(expected, rel=0.12)


def test_orthogonal_layers_keep_every_direction() -> None:
    rng = np.random.default_rng(0)
    width, outputs = 200, 20
    j = rng.standard_normal((outputs, width))
    for _ in range(15):
        j = j @ np.linalg.qr(rng.standard_normal((width, width)))[0]
    assert directions(j) == pytest.approx(expected_directions(outputs, width, 15), rel=0.05)


@pytest.mark.parametrize(("outputs", "width"), [(0, 5), (5, 0), (-1, 5)])
def test_arguments_that_mean_nothing_are_refused(outputs: float, width: float) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        expected_directions(outputs, width)
