"""A plain convolutional network with batch normalisation, its convolutions with a bias.

The normalisation subtracts the mean, and with it every bias before it: their gradients
are zero but for rounding. They are useless, and they do no harm.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(
    family="CNN",
    steps=160,
    variants={"layers": (4, 9), "channels": (8, 20)},
)
GOAL = 0.85
HIGHER_IS_BETTER = True


def model(layers: int = 6, channels: int = 12) -> nn.Module:
    """Build the network."""
    net = nn.Sequential()
    inside = 1
    for i in range(layers):
        net.add_module(f"conv{i}", nn.Conv2d(inside, channels, kernel_size=3, padding=1))
        net.add_module(f"norm{i}", nn.BatchNorm2d(channels))
        net.add_module(f"relu{i}", nn.ReLU(inplace=True))
        if i % 2 and i < 4:
            net.add_module(f"pool{i}", nn.MaxPool2d(2))
        inside = channels
    net.add_module("flatten", nn.Flatten())
    net.add_module("fc", nn.Linear(4 * channels, 10))
    return net


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(1, 8, 8), size=64, seed=seed)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Compare class scores with labels."""
    return nn.functional.cross_entropy(output, target)


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with plain momentum."""
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits(1, 8, 8))
