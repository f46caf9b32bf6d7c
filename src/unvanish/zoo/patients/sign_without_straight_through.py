"""A network of binary activations whose derivative is what calculus says: zero.

The sign function is flat everywhere but at one point, so nothing below the last binary
layer is ever trained. Binary networks train with a straight-through estimator, which
passes the gradient on as if the sign were not there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(
    family="binary network",
    codes=("UV205",),
    cause=Cause.ACTIVATION_SLOPE,
    also=("UV101", "UV501", "UV502"),
    cure="a straight-through estimator for the sign",
    steps=300,
    variants={"width": (12, 20)},
    source="Hubara, Courbariaux, Soudry, El-Yaniv and Bengio (2016)",
)
GOAL = 0.8
HIGHER_IS_BETTER = True


class StraightThrough(torch.autograd.Function):
    """The sign, with the gradient of hardtanh."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Return -1 or 1."""
        ctx.save_for_backward(x)
        return x.sign()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        """Pass the gradient on where the input is small."""
        (x,) = ctx.saved_tensors
        grad: Tensor = grads[0] * (x.abs() <= 1)
        return grad


sign_through: Callable[[Tensor], Tensor] = StraightThrough.apply


class BinaryNet(nn.Module):
    """Three layers of binary units."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1, self.bn1 = nn.Linear(64, width), nn.BatchNorm1d(width)
        self.fc2, self.bn2 = nn.Linear(width, width), nn.BatchNorm1d(width)
        self.fc3, self.bn3 = nn.Linear(width, width), nn.BatchNorm1d(width)
        self.fc4 = nn.Linear(width, 10)

    def binarise(self, x: Tensor) -> Tensor:
        """Return -1 or 1."""
        return torch.sign(x)

    def forward(self, x: Tensor) -> Tensor:
        """Map 64 pixels to 10 scores."""
        x = self.binarise(self.bn1(self.fc1(x)))
        x = self.binarise(self.bn2(self.fc2(x)))
        x = self.binarise(self.bn3(self.fc3(x)))
        scores: Tensor = self.fc4(x)
        return scores


class TrainableBinaryNet(BinaryNet):
    """The same with a straight-through estimator."""

    def binarise(self, x: Tensor) -> Tensor:
        """Return -1 or 1."""
        return sign_through(x)


def model(width: int = 16) -> nn.Module:
    """Build the network."""
    return BinaryNet(width)


def cured(width: int = 16) -> nn.Module:
    """Build it with a straight-through estimator."""
    return TrainableBinaryNet(width)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(), size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=1e-2)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits())
