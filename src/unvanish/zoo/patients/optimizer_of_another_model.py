"""The optimiser was made before the network was rebuilt, and steps the old one.

It happens in notebooks: the cell with the network is run again, the cell with the
optimiser is not. The loss of the new network is computed, its gradients too, and the
weights of the old one are stepped with gradients they do not have.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(
    family="CNN",
    codes=("UV504",),
    cause=Cause.DETACHED_GRAPH,
    also=("UV404", "UV502"),
    cure="an optimiser made from the network that is trained",
    steps=200,
    variants={"channels": (8, 20)},
)
GOAL = 0.85
HIGHER_IS_BETTER = True


class LeNet(nn.Module):
    """Two convolutions, two linear layers."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.fc1 = nn.Linear(channels * 4, 32)
        self.fc2 = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Map images of 8 x 8 to 10 scores."""
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.fc1(torch.flatten(x, 1)))
        scores: Tensor = self.fc2(x)
        return scores


def model(channels: int = 12) -> nn.Module:
    """Build the network."""
    return LeNet(channels)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(1, 8, 8), size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: LeNet) -> torch.optim.Optimizer:
    """Step a network like this one."""
    old = LeNet(model.conv1.out_channels)
    return torch.optim.Adam(old.parameters(), lr=3e-3)


def cured_optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Step this network."""
    return torch.optim.Adam(model.parameters(), lr=3e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits(1, 8, 8))
