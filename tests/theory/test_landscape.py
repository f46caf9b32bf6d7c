"""The map agrees with the profiles it is a picture of."""

from __future__ import annotations

import math

import pytest

from unvanish.theory.activations import ACTIVATIONS, activation
from unvanish.theory.landscape import landscape
from unvanish.theory.mean_field import gradient_profile


@pytest.mark.parametrize("name", [n for n in ACTIVATIONS if n != "identity"])
def test_every_column_is_a_gradient_profile(name):
    phi = activation(name)
    found = landscape(phi, 20, columns=9)
    for gain, column in zip(found.gains, found.log10_gain, strict=True):
        start = gain**2 + found.sigma_b2
        for depth in (1, 7, 20):
            exact = gradient_profile(phi, gain**2, depth, found.sigma_b2, start)[0]
            assert column[depth - 1] == pytest.approx(exact, abs=0.02, rel=0.01)


def test_the_edge_separates_vanishing_from_exploding():
    for name in ("sigmoid", "relu", "gelu", "silu"):
        found = landscape(activation(name), 400, columns=65)
        below = [
            c[-1]
            for g, c in zip(found.gains, found.log10_gain, strict=True)
            if g < 0.8 * found.edge
        ]
        above = [
            c[-1]
            for g, c in zip(found.gains, found.log10_gain, strict=True)
            if g > 1.25 * found.edge
        ]
        assert max(below) < 0 < min(above)


def test_named_initialisations_and_missing_edges():
    found = landscape(activation("softplus"), 3)
    assert math.isnan(found.edge)
    assert found.named == pytest.approx({"default": 3**-0.5, "xavier": 1.0, "he": 2**0.5})
    assert landscape(activation("relu"), 3).edge == pytest.approx(2**0.5)
    with pytest.raises(ValueError, match="depth must be at least 1"):
        landscape(activation("tanh"), 0)
