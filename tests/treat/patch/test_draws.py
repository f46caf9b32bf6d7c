"""`torch.normal` is written as a mean and noise that is scaled, wherever that can be followed."""

from __future__ import annotations

import pytest

from unvanish.core.patches import Safety

DRAWS = """import torch
from torch import nn


def batch():
    inputs = torch.randn(32, 6)
    return inputs, inputs


def loss(output, target):
    return nn.functional.mse_loss(output[0], target) + 0.1 * output[1].mean()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(6, 8)
        self.head = nn.Linear(4, 6)
        self.sigma = 0.3

    def forward(self, x):
        mean, logvar = self.body(x).chunk(2, dim=-1)
        std = torch.exp(0.5 * logvar)
        z = {drawn}
        return self.head(torch.tanh(z)), mean.square() + std
"""


@pytest.mark.parametrize(
    ("drawn", "becomes"),
    [
        ("torch.normal(mean, std)  # a code", "mean + std * torch.randn_like(std)  # a code"),
        ("torch.normal(mean=mean, std=std)", "mean + std * torch.randn_like(std)"),
        ("torch.normal(std=std, mean=2 * mean)", "(2 * mean) + std * torch.randn_like(std)"),
        ("torch.normal(mean, 0.3)", "mean + 0.3 * torch.randn_like(mean)"),
        ("torch.normal(mean, self.sigma)", "mean + self.sigma * torch.randn_like(mean)"),
        ("torch.normal(0.0, std)", "std * torch.randn_like(std)"),
        (
            "torch.normal(mean, torch.exp(0.5 * logvar))",
            "mean + torch.exp(0.5 * logvar) * torch.randn_like(mean)",
        ),
        ("0.5 * torch.normal(mean, std)", "0.5 * (mean + std * torch.randn_like(std))"),
        (
            "torch.normal(mean, std) if self.training else mean",
            "(mean + std * torch.randn_like(std)) if self.training else mean",
        ),
    ],
)
def test_a_draw_becomes_a_sum(edited, drawn, becomes) -> None:
    found = edited(DRAWS.format(drawn=drawn), "reparameterise")
    assert found.diff == [f"-        z = {drawn}", f"+        z = {becomes}"]
    assert found.safety is Safety.SAFE


@pytest.mark.parametrize(
    ("drawn", "why"),
    [
        ("torch.normal(2 * mean, torch.exp(0.5 * logvar))", "give what torch.normal is given a"),
        ("torch.normal(mean, std, generator=None)", "a mean and a standard deviation alone"),
        ("(lambda draw: draw(mean, std))(torch.normal)", "in a way that cannot be followed"),
    ],
)
def test_what_cannot_be_followed_is_left(edited, drawn, why) -> None:
    assert why in edited(DRAWS.format(drawn=drawn), "reparameterise").unsafe
