"""Twenty ReLU layers with twice He's standard deviation: a factor of 2 that nobody sees.

Each layer doubles signal and gradient. Over twenty layers that is six decades, and the
first step of any optimiser that follows the gradient throws the weights away.
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
    codes=("UV102",),
    cause=Cause.INIT_TOO_LARGE,
    also=("UV103", "UV203", "UV403", "UV404", "UV405"),
    cure="He's initialisation without the factor",
    steps=400,
    variants={"factor": (1.7, 3.0), "width": (48, 96)},
)
GOAL = 0.6
HIGHER_IS_BETTER = True


def model(factor: float = 2.0, depth: int = 20, width: int = 64) -> nn.Module:
    """Build the network."""
    layers: list[nn.Module] = []
    inside = 64
    for _ in range(depth):
        linear = nn.Linear(inside, width)
        torch.nn.init.normal_(linear.weight, 0.0, factor * (2.0 / inside) ** 0.5)
        torch.nn.init.zeros_(linear.bias)
        layers += [linear, nn.ReLU()]
        inside = width
    return nn.Sequential(*layers, nn.Linear(width, 10))


def cured(factor: float = 2.0, depth: int = 20, width: int = 64) -> nn.Module:  # noqa: ARG001
    """Build it with a factor of 1."""
    return model(1.0, depth, width)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(), size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with plain momentum."""
    return torch.optim.SGD(model.parameters(), lr=0.003, momentum=0.9)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits())
