"""A convolutional network with group normalisation, trained on two images at a time."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(family="CNN", steps=1200, variants={"channels": (8, 16)})
GOAL = 0.75
HIGHER_IS_BETTER = True


def model(channels: int = 12) -> nn.Module:
    """Build the network."""
    return nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=1), nn.GroupNorm(4, channels), nn.ReLU(),
        nn.Conv2d(channels, channels, 3, stride=2, padding=1), nn.GroupNorm(4, channels), nn.ReLU(),
        nn.Flatten(), nn.Linear(16 * channels, 10),
    )  # fmt: skip


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(1, 8, 8), size=2, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use SGD."""
    return torch.optim.SGD(model.parameters(), lr=0.01)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits(1, 8, 8))
