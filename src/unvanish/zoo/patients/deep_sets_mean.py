"""A set network: each of 64 points on its own, then their mean, then two layers more.

Every point's gradient is a 64th of that of the mean. That is arithmetic and no illness: the points
are many, and their weights are shared.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy
from unvanish.zoo.sequences import HELD_OUT, clouds

PATIENT = Patient(
    family="set network",
    steps=700,
    variants={"width": (32, 128)},
    source="Zaheer and others (2017)",
)
GOAL = 0.85
HIGHER_IS_BETTER = True


class DeepSets(nn.Module):
    """``rho(mean(phi(x)))``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.phi = nn.Sequential(
            nn.Linear(2, width), nn.ELU(), nn.Linear(width, width), nn.ELU(),
            nn.Linear(width, width),
        )  # fmt: skip
        self.rho = nn.Sequential(nn.Linear(width, width), nn.ELU(), nn.Linear(width, 4))

    def forward(self, points: Tensor) -> Tensor:
        """Map ``(batch, points, 2)`` to class scores."""
        scores: Tensor = self.rho(self.phi(points).mean(dim=-2))
        return scores


def model(width: int = 64) -> nn.Module:
    """Build the network."""
    return DeepSets(width)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield clouds of 64 points and their shapes."""
    return clouds(seed, points=64)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam."""
    return torch.optim.Adam(model.parameters(), lr=3e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on 400 new clouds; chance is a quarter."""
    return accuracy(model, *next(clouds(HELD_OUT, points=64, size=400)))
