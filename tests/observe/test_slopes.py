"""Slopes in closed form against the slopes that autograd gives."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import unvanish
from unvanish.observe.statistics.slope import ACTIVATIONS, Activation, read_slope, slope_of


@pytest.mark.parametrize(
    ("name", "function", "args", "kwargs"),
    [
        ("sigmoid", torch.sigmoid, (), {}),
        ("tanh", torch.tanh, (), {}),
        ("relu", F.relu, (), {}),
        ("relu6", F.relu6, (), {}),
        ("relu6", F.hardtanh, (0.0, 6.0), {}),
        ("hardtanh", F.hardtanh, (), {}),
        ("hardtanh", F.hardtanh, (-2.0,), {"max_val": 0.5}),
        ("leaky_relu", F.leaky_relu, (), {}),
        ("leaky_relu", F.leaky_relu, (0.3,), {}),
        ("leaky_relu", F.leaky_relu, (), {"negative_slope": 0.2}),
        ("elu", F.elu, (0.7,), {}),
        ("gelu", F.gelu, (), {"approximate": "tanh"}),
    ],
)
def test_every_slope_is_autograds(
    name: str, function: Callable[..., Tensor], args: tuple[float, ...], kwargs: dict[str, float]
) -> None:
    torch.manual_seed(0)
    z = (3 * torch.randn(64, 8, 5, dtype=torch.float64)).requires_grad_()
    with torch.no_grad():
        z[0, 0, :4] = torch.tensor([0.0, 6.0, 1.0, -1.0])  # the ends of the pieces
    y = function(z, *args, **kwargs)
    (expected,) = torch.autograd.grad(y.sum(), z)
    slope = slope_of(function, name, z, y, args, kwargs)
    torch.testing.assert_close(slope.double(), expected)
    reading = read_slope(slope, ACTIVATIONS[name], 1)
    plain = read_slope(expected, ACTIVATIONS[name], 1)
    torch.testing.assert_close(reading.rms, plain.rms)
    assert float(reading.largest) == pytest.approx(float(plain.largest))
    assert torch.equal(reading.alive, plain.alive)
    if plain.saturated is not None:
        assert float(reading.saturated) == pytest.approx(float(plain.saturated))


def test_a_falling_function_has_its_slope_by_size() -> None:
    slope = torch.tensor([[-2.0, 0.0], [1.0, 0.0]])
    reading = read_slope(slope, Activation(2.0), -1)
    assert float(reading.largest) == 2.0
    assert reading.alive.tolist() == [True, False]


def test_an_activation_that_nothing_was_sent_to_is_no_failure() -> None:
    class Routed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.expert = torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            h = self.stem(x)
            return h + self.expert(h)[:0].relu().sum() + torch.sigmoid(h[:0]).sum()

    recording = unvanish.trace(Routed(), (torch.randn(8, 4), torch.randn(8, 4)), "mse_loss")
    assert {"relu", "sigmoid"} <= {site.op for site in recording.sites}
