"""Pixels divided by 255 by the loader, and once more by the training script.

The images lie between 0 and 0.004. The first layer sees almost nothing of them beside
its own bias, and the gradient of its weights, which is proportional to them, is as small.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(
    family="CNN",
    codes=("UV503",),
    cause=Cause.INPUT_SCALE,
    also=("UV101", "UV103", "UV404", "UV405", "UV502"),
    cure="divide once",
    steps=200,
    variants={"channels": (8, 24)},
)
GOAL = 0.85
HIGHER_IS_BETTER = True


class Net(nn.Module):
    """Two convolutions and a linear layer."""

    def __init__(self, channels: int, divisor: float) -> None:
        super().__init__()
        self.divisor = divisor
        self.conv1 = nn.Conv2d(1, channels, 3)
        self.conv2 = nn.Conv2d(channels, channels, 3)
        self.fc = nn.Linear(channels * 4, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Map images of 8 x 8 to 10 scores."""
        x = x / self.divisor
        x = torch.relu(self.conv1(x))
        x = torch.max_pool2d(torch.relu(self.conv2(x)), 2)
        scores: Tensor = self.fc(torch.flatten(x, 1))
        return scores


def model(channels: int = 16) -> nn.Module:
    """Build the network; its input is already between 0 and 1."""
    return Net(channels, 255.0)


def cured(channels: int = 16) -> nn.Module:
    """Build it without the second division."""
    return Net(channels, 1.0)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(1, 8, 8), size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with plain momentum."""
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits(1, 8, 8))
