"""Dropout of a fifth of the pixels and of half of each hidden layer.

Half of the activations and half of their gradients are zero in every step, a different
half each time.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(
    family="MLP",
    steps=300,
    variants={"width": (128, 256)},
    source="Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov (2014)",
)
GOAL = 0.85
HIGHER_IS_BETTER = True


def model(width: int = 160) -> nn.Module:
    """Build the network."""
    return nn.Sequential(
        nn.Dropout(0.2),
        nn.Linear(64, width), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(width, width), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(width, width), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(width, 10),
    )  # fmt: skip


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(), size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=2e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits())
