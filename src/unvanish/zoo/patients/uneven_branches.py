"""Parallel convolutions of several sizes, one of them a hundred times weaker than the rest.

The weak branch carries little of the signal and gets little of the gradient. The others
do the work, and nothing is lost behind it.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.data import glyphs, in_batches
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(
    family="CNN",
    steps=250,
    variants={"weakness": (0.001, 0.1)},
    source="Szegedy et al. (2015)",
)
GOAL = 0.7
HIGHER_IS_BETTER = True


class Inception(nn.Module):
    """Three convolutions side by side."""

    def __init__(self, inside: int, outside: int, weakness: float) -> None:
        super().__init__()
        self.one = nn.Conv2d(inside, outside, 1)
        self.three = nn.Conv2d(inside, outside, 3, padding=1)
        self.five = nn.Conv2d(inside, outside, 5, padding=2)
        self.weakness = weakness

    def forward(self, x: Tensor) -> Tensor:
        """Return all of them, the first one faint."""
        return torch.relu(
            torch.cat([self.weakness * self.one(x), self.three(x), self.five(x)], dim=1)
        )


def model(weakness: float = 0.01) -> nn.Module:
    """Build the network."""
    return nn.Sequential(
        Inception(1, 6, weakness),
        nn.MaxPool2d(2),
        Inception(18, 8, weakness),
        nn.MaxPool2d(2),
        Inception(24, 8, weakness),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        nn.Linear(24, 4),
    )


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over 1280 images."""
    images, labels, _ = glyphs(1280, 0)
    return in_batches(images, labels, size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=5e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on 400 images the training never sees."""
    images, labels, _ = glyphs(400, 1)
    return accuracy(model, images, labels)
