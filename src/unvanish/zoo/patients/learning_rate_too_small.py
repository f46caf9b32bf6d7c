"""AdamW with a learning rate of 1e-8, one zero too many in every place.

Gradients are fine in all layers. A step moves a weight by one part in ten million, and
float32 rounds many of those steps to nothing.
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
    codes=("UV404",),
    cause=Cause.LEARNING_RATE,
    also=("UV502",),
    cure="a learning rate of 2e-3",
    steps=200,
    variants={"channels": (8, 24)},
)
GOAL = 0.85
HIGHER_IS_BETTER = True


def model(channels: int = 12) -> nn.Module:
    """Build the network."""
    return nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.SiLU(),
        nn.Conv2d(channels, channels, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.SiLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(4 * channels, 10),
    )


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(1, 8, 8), size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use AdamW with a rate of 1e-8."""
    return torch.optim.AdamW(model.parameters(), lr=1e-8)


def cured_optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use AdamW with a rate of 2e-3."""
    return torch.optim.AdamW(model.parameters(), lr=2e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits(1, 8, 8))
