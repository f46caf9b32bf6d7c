"""A small residual network whose branches all start at zero.

The last normalisation of each branch has gamma 0, as in many ImageNet recipes, so that a
block is the identity at first and its convolutions have a gradient of exactly zero. One
step opens the gates.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(
    family="ResNet",
    steps=100,
    variants={"blocks": (2, 6), "channels": (8, 16)},
    source="Goyal et al. (2017)",
)
GOAL = 0.85
HIGHER_IS_BETTER = True


class BasicBlock(nn.Module):
    """Two convolutions and a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        nn.init.zeros_(self.bn2.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Add the branch to the shortcut."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += x
        y: Tensor = self.relu(out)
        return y


class ResNet(nn.Module):
    """A stem, equal blocks, and a linear layer."""

    def __init__(self, blocks: int, channels: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, channels, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(channels)
        self.blocks = nn.Sequential(*(BasicBlock(channels) for _ in range(blocks)))
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.fc = nn.Linear(channels * 16, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Map images of 8 x 8 to 10 scores."""
        x = self.blocks(torch.relu(self.bn(self.stem(x))))
        scores: Tensor = self.fc(self.pool(x).flatten(1))
        return scores


def model(blocks: int = 4, channels: int = 12) -> nn.Module:
    """Build the network."""
    return ResNet(blocks, channels)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(1, 8, 8), size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train as on ImageNet, without the schedule."""
    return torch.optim.SGD(
        model.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-4
    )


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits(1, 8, 8))
