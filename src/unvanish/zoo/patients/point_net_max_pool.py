"""A point network with a maximum over the points, as PointNet has it.

The maximum passes each feature's gradient to one point and nothing to the other 127. Most entries
of the points' gradient are exactly zero, and no unit is dead.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy
from unvanish.zoo.sequences import HELD_OUT, clouds

PATIENT = Patient(
    family="set network",
    steps=200,
    variants={"width": (32, 128)},
    source="Qi and others (2017)",
)
GOAL = 0.85
HIGHER_IS_BETTER = True


class PointNet(nn.Module):
    """Convolutions of width one, a maximum, a classifier."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(2, width, 1)
        self.conv2 = nn.Conv1d(width, width, 1)
        self.conv3 = nn.Conv1d(width, 2 * width, 1)
        self.bn1 = nn.BatchNorm1d(width)
        self.bn2 = nn.BatchNorm1d(width)
        self.bn3 = nn.BatchNorm1d(2 * width)
        self.fc1 = nn.Linear(2 * width, width)
        self.fc2 = nn.Linear(width, 4)

    def forward(self, points: Tensor) -> Tensor:
        """Map ``(batch, points, 2)`` to class scores."""
        x = points.transpose(1, 2)
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        x = self.bn3(self.conv3(x))
        x = x.max(dim=2).values
        scores: Tensor = self.fc2(F.relu(self.fc1(x)))
        return scores


def model(width: int = 64) -> nn.Module:
    """Build the network."""
    return PointNet(width)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield clouds of 128 points and their shapes."""
    return clouds(seed, points=128)


loss = F.cross_entropy


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam."""
    return torch.optim.Adam(model.parameters(), lr=1e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on 400 new clouds; chance is a quarter."""
    return accuracy(model, *next(clouds(HELD_OUT, points=128, size=400)))
