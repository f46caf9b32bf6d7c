"""A contrastive loss over all pairwise distances, each point's to itself among them.

The square root has an infinite slope at zero. The loss of the first batch is an ordinary
number, its gradient is NaN, and so are all weights after the first step.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.data import clusters, in_batches
from unvanish.zoo.patient import Patient

PATIENT = Patient(
    family="metric learning",
    codes=("UV403",),
    cause=Cause.PRECISION,
    also=("UV101",),
    cure="a small number under the square root",
    steps=200,
    variants={"width": (24, 64)},
    source="https://github.com/pytorch/pytorch/issues/4320",
)
GOAL = 0.9
HIGHER_IS_BETTER = True


class Embedding(nn.Module):
    """Points of sixteen dimensions to points of three."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(16, width)
        self.fc2 = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Embed."""
        z: Tensor = self.fc2(nn.functional.elu(self.fc1(x)))
        return z


def model(width: int = 32) -> nn.Module:
    """Build the network."""
    return Embedding(width)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over 1000 points of twelve classes."""
    return in_batches(*clusters(1000, 0, classes=12), size=50, seed=seed)


def contrast(distance: Tensor, labels: Tensor) -> Tensor:
    """Pull equal classes together and push others two apart."""
    same = labels[:, None] == labels[None, :]
    return torch.where(same, distance, torch.relu(2.0 - distance)).mean()


def squared_distances(z: Tensor) -> Tensor:
    """Return the squared distance of every pair."""
    return (z[:, None] - z[None, :]).square().sum(dim=2)


def loss(z: Tensor, labels: Tensor) -> Tensor:
    """Return the contrastive loss."""
    return contrast(squared_distances(z).sqrt(), labels)


def cured_loss(z: Tensor, labels: Tensor) -> Tensor:
    """Return the contrastive loss."""
    return contrast((squared_distances(z) + 1e-6).sqrt(), labels)


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=1e-2)


@torch.no_grad()
def metric(model: nn.Module) -> float:
    """Return how often the nearest of 300 other points is of the same class."""
    points, labels = clusters(300, 1, classes=12)
    distance = squared_distances(model(points)).fill_diagonal_(torch.inf)
    return float((labels[distance.argmin(dim=1)] == labels).float().mean())
