"""SGD with a learning rate of 10, where 0.1 would have been right.

The first step moves every weight by more than its own size. The second one corrects
the damage of the first in the wrong place, and so on; the loss never comes back.
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
    family="MLP",
    codes=("UV404",),
    cause=Cause.LEARNING_RATE,
    also=("UV103", "UV202", "UV203", "UV403", "UV405"),
    cure="a learning rate of 0.1",
    steps=200,
    variants={"width": (48, 128)},
)
GOAL = 0.85
HIGHER_IS_BETTER = True


def model(width: int = 64) -> nn.Module:
    """Build the network."""
    first, second = nn.Linear(64, width), nn.Linear(width, width)
    for layer in (first, second):
        nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Linear(width, 10))


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(), size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use SGD with a rate of 10."""
    return torch.optim.SGD(model.parameters(), lr=10.0)


def cured_optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use SGD with a rate of 0.1."""
    return torch.optim.SGD(model.parameters(), lr=0.1)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits())
