"""The optimiser is given the head's parameters only; the body was to be added later.

Gradients reach every layer, and nobody uses them. The body stays random, and the head
has to read digits off six random features.
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
    codes=("UV504",),
    cause=Cause.DETACHED_GRAPH,
    also=("UV404", "UV502"),
    cure="all parameters in the optimiser",
    steps=300,
    variants={"features": (5, 8)},
)
GOAL = 0.8
HIGHER_IS_BETTER = True


class Net(nn.Module):
    """A body and a head."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, features), nn.Tanh())
        self.head = nn.Linear(features, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Map 64 pixels to 10 scores."""
        scores: Tensor = self.head(self.body(x))
        return scores


def model(features: int = 6) -> nn.Module:
    """Build the network."""
    return Net(features)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(), size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: Net) -> torch.optim.Optimizer:
    """Step the head."""
    return torch.optim.Adam(model.head.parameters(), lr=5e-3)


def cured_optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Step everything."""
    return torch.optim.Adam(model.parameters(), lr=5e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits())
