"""A table whose columns keep their units: years, euros, kilometres, shares of a percent.

Income in euros is three million times the share of empty homes. The first layer sees one
column and noise, the loss surface is a canyon, and no single learning rate fits it.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.data import houses, in_batches
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import unexplained

PATIENT = Patient(
    family="MLP",
    codes=("UV503",),
    cause=Cause.INPUT_SCALE,
    also=("UV101", "UV102", "UV201", "UV202", "UV203", "UV404", "UV405", "UV502", "UV506"),
    cure="every column at mean 0 and standard deviation 1",
    steps=500,
    variants={"width": (32, 96)},
)
GOAL = 0.2
HIGHER_IS_BETTER = False


class Prices(nn.Module):
    """Six properties to one standardised price."""

    def __init__(self, width: int, *, batch_norm: bool) -> None:
        super().__init__()
        self.normalise = nn.BatchNorm1d(6, affine=False) if batch_norm else nn.Identity()
        self.fc1 = nn.Linear(6, width)
        self.fc2 = nn.Linear(width, width)
        self.fc3 = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Predict."""
        x = self.normalise(x)
        x = nn.functional.leaky_relu(self.fc1(x))
        x = nn.functional.leaky_relu(self.fc2(x))
        y: Tensor = self.fc3(x)
        return y


def model(width: int = 64) -> nn.Module:
    """Build the network."""
    return Prices(width, batch_norm=False)


def cured(width: int = 64) -> nn.Module:
    """Build it with a normalisation of its inputs."""
    return Prices(width, batch_norm=True)


def offers(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return properties of houses as they are, and standardised prices."""
    x, prices = houses(count, seed)
    _, train = houses(2000, 0)
    return x, (prices - train.mean()) / train.std()


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over 2000 houses."""
    return in_batches(*offers(2000, 0), size=100, seed=seed)


loss = nn.MSELoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=1e-3)


def metric(model: nn.Module) -> float:
    """Return the share of variance left unexplained on 500 other houses."""
    return unexplained(model, *offers(500, 1))
