"""The signal-to-noise ratio of gradients against its closed form, and leaves without a name."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from unvanish.core.conditions import GradientNoise
from unvanish.observe import trace


class Pull(nn.Module):
    """The gradient of its mean output is the mean of the batch, with the sign turned."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(width, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return -(x @ self.w[:, None])


def noise(batches: list[Tensor]) -> GradientNoise | None:
    data = [(x, torch.zeros(len(x), 1, dtype=torch.float64)) for x in batches]
    loss = lambda out, _: out.mean()  # noqa: E731
    return trace(Pull(batches[0].shape[1]), data[0], loss, data=data, probe_steps=0).noise


def test_three_batches_give_the_estimate_and_its_error() -> None:
    """Gradients (1, 0), (1, 1), (1, -1): products 1, 1, 0; squares 1, 2, 2."""
    rows = [torch.tensor([row], dtype=torch.float64) for row in ([1, 0], [1, 1], [1, -1])]
    found = noise(rows)
    assert found is not None
    assert (found.parts, found.samples) == (3, 1)
    across, square = 2 / 3, 5 / 3
    assert found.signal_to_noise == pytest.approx(across / (square - across))
    without = [0.0, 1 / 0.5, 1 / 0.5]  # leaving out each in turn
    mean = sum(without) / 3
    error = math.sqrt(2 / 3 * sum((x - mean) ** 2 for x in without))
    assert found.standard_error == pytest.approx(error)


def test_two_batches_give_no_error() -> None:
    rows = [torch.tensor([row], dtype=torch.float64) for row in ([1, 0], [1, 1])]
    found = noise(rows)
    assert found is not None
    assert found.signal_to_noise == pytest.approx(2.0)
    assert math.isnan(found.standard_error)


def test_pure_noise_has_no_signal_on_average() -> None:
    torch.manual_seed(0)
    found = [noise(list(torch.randn(3, 4, 50, dtype=torch.float64))) for _ in range(40)]
    ratios = [one.signal_to_noise for one in found if one is not None]
    assert len(ratios) == 40
    assert abs(sum(ratios) / 40) < 0.05
    assert min(ratios) < 0 < max(ratios)


def test_one_batch_and_equal_batches_tell_nothing() -> None:
    row = torch.ones(1, 2, dtype=torch.float64)
    assert noise([row]) is None
    assert noise([row, row.clone()]) is None


class Hidden(nn.Module):
    """Two layers in a plain list."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = [nn.Linear(4, 4), nn.Linear(4, 4)]
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.head(x)


def batch() -> tuple[Tensor, Tensor]:
    return torch.randn(8, 4), torch.zeros(8, 2)


def test_layers_in_a_plain_list_are_strays() -> None:
    model = Hidden()
    strays = trace(model, batch(), "mse_loss").strays
    assert sorted(stray.shape for stray in strays) == [(4,), (4,), (4, 4), (4, 4)]
    assert all(stray.in_optimizer is None for stray in strays)
    every = [p for layer in model.layers for p in layer.parameters()]
    by_hand = torch.optim.SGD([*every, *model.parameters()], lr=0.1)
    assert all(s.in_optimizer for s in trace(model, batch(), "mse_loss", optimizer=by_hand).strays)


def test_what_only_the_loss_uses_is_no_stray() -> None:
    critic = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))
    recording = trace(nn.Linear(4, 2), batch(), lambda out, _: critic(out).mean())
    assert recording.strays == ()


def test_an_input_that_asks_for_a_gradient_is_no_stray() -> None:
    x, y = batch()
    assert trace(nn.Linear(4, 2), (x.requires_grad_(), y), "mse_loss").strays == ()


def test_a_leaf_made_in_the_forward_pass_is_no_stray() -> None:
    class Fresh(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward((x * 2).detach().requires_grad_())

    assert trace(Fresh(4, 2), batch(), "mse_loss").strays == ()
