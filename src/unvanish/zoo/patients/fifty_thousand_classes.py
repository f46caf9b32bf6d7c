"""A tiny network with fifty thousand outputs, of which two hundred ever occur.

Most rows of the last layer get a gradient of a fifty-thousandth, pushing them down a
little. That is all they have to learn.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.data import clusters, in_batches
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(family="MLP", steps=120, variants={"classes": (20_000, 50_001)})
GOAL = 0.6
HIGHER_IS_BETTER = True


def model(classes: int = 50_000, width: int = 16) -> nn.Module:
    """Build the network."""
    return nn.Sequential(nn.Linear(16, width), nn.LeakyReLU(), nn.Linear(width, classes))


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over 2560 points; a class is a multiple of 97."""
    points, labels = clusters(2560, 0, classes=200)
    return in_batches(points, 97 * labels, size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=2e-2)


def metric(model: nn.Module) -> float:
    """Return the accuracy on 400 other points."""
    points, labels = clusters(400, 1, classes=200)
    return accuracy(model, points, 97 * labels)
