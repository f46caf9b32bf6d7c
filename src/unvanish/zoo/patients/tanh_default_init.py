"""Thirty tanh layers with PyTorch's default weights, which are too small for the depth.

The default draws weights of variance 1/(3 n). The slope of tanh is 1 near zero, so the
gradient shrinks by 0.58 a layer, seven decades in all. The activation is innocent.
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
    codes=("UV101",),
    cause=Cause.INIT_TOO_SMALL,
    also=("UV103", "UV401", "UV502"),
    cure="orthogonal weights",
    steps=300,
    variants={"depth": (20, 40), "width": (48, 96)},
    source="Glorot and Bengio (2010)",
)
GOAL = 0.9
HIGHER_IS_BETTER = True


def model(depth: int = 30, width: int = 64) -> nn.Module:
    """Build the network."""
    net = nn.Sequential(nn.Linear(64, width), nn.Tanh())
    for i in range(1, depth):
        net.add_module(f"hidden{i}", nn.Linear(width, width))
        net.add_module(f"tanh{i}", nn.Tanh())
    net.add_module("scores", nn.Linear(width, 10))
    return net


def orthogonal(module: nn.Module) -> None:
    """Start one layer with an orthogonal matrix and no bias."""
    if isinstance(module, nn.Linear):
        nn.init.orthogonal_(module.weight)
        nn.init.zeros_(module.bias)


def cured(depth: int = 30, width: int = 64) -> nn.Module:
    """Build it with orthogonal weights."""
    return model(depth, width).apply(orthogonal)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images, centred."""
    images, labels = training_digits()
    return in_batches(2 * images - 1, labels, size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with plain momentum."""
    return torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    images, labels = held_out_digits()
    return accuracy(model, 2 * images - 1, labels)
