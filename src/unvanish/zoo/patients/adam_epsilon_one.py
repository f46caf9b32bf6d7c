"""Adam with an epsilon of 1, as the manual of another library once advised for ImageNet.

Adam divides each gradient by its own size plus epsilon. Here the gradients are around a
hundredth, epsilon outweighs them a hundredfold, and what was meant as a step of 0.001 is
a step of 0.00001.
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
    codes=("UV401",),
    cause=Cause.OPTIMISER_FLOOR,
    also=("UV404", "UV502"),
    cure="PyTorch's default epsilon of 1e-8",
    steps=200,
    variants={"channels": (6, 16)},
)
GOAL = 0.8
HIGHER_IS_BETTER = True


class SmallCNN(nn.Module):
    """Two convolutions and a linear layer."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride=2, padding=1)
        self.fc = nn.Linear(channels * 16, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Map images of 8 x 8 to 10 scores."""
        x = torch.relu(self.conv1(x))
        x = torch.relu(self.conv2(x))
        scores: Tensor = self.fc(x.flatten(1))
        return scores


def model(channels: int = 8) -> nn.Module:
    """Build the network."""
    return SmallCNN(channels)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(1, 8, 8), size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam with an epsilon of 1."""
    return torch.optim.Adam(model.parameters(), lr=1e-3, eps=1.0)


def cured_optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam with the default epsilon."""
    return torch.optim.Adam(model.parameters(), lr=1e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits(1, 8, 8))
