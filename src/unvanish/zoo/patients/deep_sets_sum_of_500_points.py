"""A set network that adds up the features of 500 points and passes the sum to tanh layers.

Sum pooling is in the Deep Sets paper, and for a handful of elements it is fine. Over 500 points
the sums are around 50, the tanh behind them is flat, and nothing tells the layer that
makes the features what was wrong with them. The mean has the same information at unit scale.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy
from unvanish.zoo.sequences import HELD_OUT, clouds

PATIENT = Patient(
    family="set network",
    codes=("UV201",),
    cause=Cause.NO_NORMALISATION,
    also=("UV101", "UV102", "UV103", "UV404", "UV405", "UV502"),
    cure="the mean over the points",
    steps=300,
    variants={"width": (32, 64)},
    source="Zaheer and others (2017)",
)
GOAL = 0.85
HIGHER_IS_BETTER = True

POINTS = 500


class DeepSet(nn.Module):
    """``rho(pool(phi(x)))``."""

    def __init__(self, width: int, pool: str) -> None:
        super().__init__()
        self.pool = pool
        self.phi = nn.Sequential(
            nn.Linear(2, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, width),
        )  # fmt: skip
        self.rho = nn.Sequential(nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 4))

    def forward(self, points: Tensor) -> Tensor:
        """Map ``(batch, points, 2)`` to class scores."""
        features = self.phi(points)
        pooled = features.sum(dim=1) if self.pool == "sum" else features.mean(dim=1)
        scores: Tensor = self.rho(pooled)
        return scores


def model(width: int = 48) -> nn.Module:
    """Build the network."""
    return DeepSet(width, pool="sum")


def cured(width: int = 48) -> nn.Module:
    """Build the network with mean pooling."""
    return DeepSet(width, pool="mean")


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield clouds of 500 points and their shapes."""
    return clouds(seed, points=POINTS)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Compare scores with shapes."""
    return nn.functional.cross_entropy(output, target)


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam."""
    return torch.optim.Adam(model.parameters(), lr=3e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on 200 new clouds; chance is a quarter."""
    return accuracy(model, *next(clouds(HELD_OUT, points=POINTS, size=200)))
