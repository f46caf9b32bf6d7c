"""ReLU layers that start with a bias of -3, "so that the representation is sparse".

It is sparse: no unit of the first layer reacts to any image. A silent unit has no
gradient, so the network never finds out.
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
    codes=("UV202",),
    cause=Cause.BIAS,
    also=("UV101", "UV103", "UV104", "UV501", "UV502"),
    cure="biases at zero",
    steps=200,
    variants={"bias": (-4.0, -6.0)},
)
GOAL = 0.85
HIGHER_IS_BETTER = True


def model(bias: float = -3.0, channels: int = 12) -> nn.Module:
    """Build the network."""
    net = nn.Sequential()
    net.append(nn.Conv2d(1, channels, 3, padding=1))
    net.append(nn.ReLU())
    net.append(nn.MaxPool2d(2))
    net.append(nn.Conv2d(channels, 2 * channels, 3, padding=1))
    net.append(nn.ReLU())
    net.append(nn.Flatten())
    net.append(nn.Linear(2 * channels * 16, 10))
    for m in net:
        if isinstance(m, nn.Conv2d) and m.bias is not None:
            nn.init.kaiming_normal_(m.weight)
            nn.init.constant_(m.bias, bias)
    return net


def cured(bias: float = -3.0, channels: int = 12) -> nn.Module:  # noqa: ARG001 (it is the cure)
    """Build it with biases at zero."""
    return model(0.0, channels)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(1, 8, 8), size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with plain momentum."""
    return torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits(1, 8, 8))
