"""Six sigmoid layers on handwritten digits, as in many a first course.

Each sigmoid passes at most a quarter of the gradient on, and PyTorch's default weights
halve what is left. Six layers are enough: the loss stays at log 10 and the first layers
hardly move.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(
    family="MLP",
    codes=("UV101",),
    cause=Cause.ACTIVATION_SLOPE,
    also=("UV103", "UV502"),
    cure="ReLU in place of the sigmoid, with He's initialisation",
    steps=300,
    variants={"layers": (5, 9), "width": (48, 128)},
    source="https://ai.stackexchange.com/questions/16557",
)
GOAL = 0.9
HIGHER_IS_BETTER = True


def model(layers: int = 6, width: int = 64) -> nn.Module:
    """Build the network."""
    sizes = [64] + [width] * layers
    modules: list[nn.Module] = []
    for inside, outside in pairwise(sizes):
        modules += [nn.Linear(inside, outside), nn.Sigmoid()]
    return nn.Sequential(*modules, nn.Linear(width, 10))


def cured(layers: int = 6, width: int = 64) -> nn.Module:
    """Build it with ReLU and He's initialisation."""
    sizes = [64] + [width] * layers
    modules: list[nn.Module] = []
    for inside, outside in pairwise(sizes):
        linear = nn.Linear(inside, outside)
        nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
        modules += [linear, nn.ReLU()]
    return nn.Sequential(*modules, nn.Linear(width, 10))


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(), size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with plain momentum."""
    return torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits())
