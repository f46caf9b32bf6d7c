"""The factor of a term is written where the loss computes it."""

from __future__ import annotations

import re

import pytest

LOSSES = """import torch
import torch.nn.functional as F
from torch import nn

criterion = nn.MSELoss()


def batch():
    inputs = torch.randn(32, 12)
    return inputs, inputs


def loss(output, target):
    answer, code = output
    prior = code.square().sum()
    {lines}


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=1e-3)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(12, 4), nn.Linear(4, 12)

    def forward(self, x):
        code = self.encoder(x)
        return self.decoder(code), code
"""


@pytest.mark.parametrize(
    ("lines", "becomes"),
    [
        ("return F.mse_loss(answer, target) + prior", "return N * F.mse_loss(answer, target) +"),
        ("return prior + criterion(answer, target)", "return prior + N * criterion(answer,"),
        ("return F.mse_loss(answer, target).mean() + prior", "(N * F.mse_loss(answer, target)).m"),
        ("fit = F.mse_loss(answer, target)\n    return fit + prior", "fit = N * F.mse_loss("),
        ("return prior + 2 * F.mse_loss(answer, target)", "2 * N * F.mse_loss(answer, target)"),
    ],
)
def test_a_call_is_multiplied(edited, lines, becomes) -> None:
    found = edited(LOSSES.format(lines=lines), "loss-balancing")
    assert becomes in re.sub(r"\d+\.\d+(?= \* [Fc])", "N", found.diff[1])


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ("return ((answer - target) ** 2).mean() + prior", "does not say which call"),
        (
            "return sum(map(criterion, [answer], [target])) + prior",
            "the edited source does not give",
        ),
    ],
)
def test_what_cannot_be_told_is_left_to_the_user(edited, lines, why) -> None:
    assert why in edited(LOSSES.format(lines=lines), "loss-balancing").unsafe
