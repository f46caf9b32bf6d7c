"""Fifty tanh layers with orthogonal weights: as deep as sick ones, and healthy."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(
    family="MLP",
    steps=250,
    variants={"depth": (30, 70), "width": (48, 96)},
    source="Saxe, McClelland and Ganguli (2014); Pennington, Schoenholz and Ganguli (2017)",
)
GOAL = 0.85
HIGHER_IS_BETTER = True


def model(depth: int = 50, width: int = 64) -> nn.Module:
    """Build the network."""
    layers: list[nn.Module] = []
    for i in range(depth):
        layers += [nn.Linear(width if i else 64, width), nn.Tanh()]
    layers.append(nn.Linear(width, 10))
    for layer in layers:
        if isinstance(layer, nn.Linear):
            nn.init.orthogonal_(layer.weight)
            nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images, centred."""
    images, labels = training_digits()
    return in_batches(2 * images - 1, labels, size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam with a small rate, as for anything this deep."""
    return torch.optim.Adam(model.parameters(), lr=3e-4)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    images, labels = held_out_digits()
    return accuracy(model, 2 * images - 1, labels)
