"""Sensor readings with a large offset, fed to ReLU units as they come.

Pressure in pascals lies around 101 325 and moves by a few hundred. A unit's sum is
dominated by the offset, so its sign is the same for every sample: half of the units are
off for ever, the others are linear, and the first step throws the weights away.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.data import friedman, in_batches
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import unexplained

PATIENT = Patient(
    family="MLP",
    codes=("UV503",),
    cause=Cause.INPUT_SCALE,
    also=("UV101", "UV102", "UV103", "UV202", "UV404", "UV405", "UV506"),
    cure="subtract the mean and divide by the standard deviation",
    steps=300,
    variants={"width": (32, 128)},
)
GOAL = 0.25
HIGHER_IS_BETTER = False


def model(width: int = 64) -> nn.Module:
    """Build the network."""
    return nn.Sequential(
        nn.Linear(10, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1)
    )


def cured(width: int = 64) -> nn.Module:
    """Build it behind a normalisation with the statistics of the training data."""
    return nn.Sequential(Standardise(readings(2000, 0)[0]), model(width))


class Standardise(nn.Module):
    """Brings every feature to mean 0 and standard deviation 1."""

    mean: Tensor
    std: Tensor

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", x.mean(dim=0))
        self.register_buffer("std", x.std(dim=0))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise."""
        return (x - self.mean) / self.std


def readings(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return ten pressures in pascals, and a standardised quantity that depends on five."""
    x, y = friedman(count, seed)
    return 101_325 + 600 * (x - 0.5), (y - 14.4) / 4.9


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over 2000 readings."""
    return in_batches(*readings(2000, 0), size=100, seed=seed)


loss = nn.SmoothL1Loss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=3e-3)


def metric(model: nn.Module) -> float:
    """Return the share of variance left unexplained on 500 other readings."""
    return unexplained(model, *readings(500, 1))
