"""Layers that use the sign of their weights, and differentiate through it.

Every weight is -1 or 1 in the forward pass. The derivative of the sign is zero, so the
real numbers behind it never move: only scales and shifts of the normalisation learn.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(
    family="binary network",
    codes=("UV205",),
    cause=Cause.ACTIVATION_SLOPE,
    also=("UV104", "UV501", "UV502"),
    cure="a straight-through estimator for the weights",
    steps=300,
    variants={"width": (48, 96)},
    source="Courbariaux, Bengio and David (2015)",
)
GOAL = 0.85
HIGHER_IS_BETTER = True


class BinaryLinear(nn.Linear):
    """A linear layer with weights of -1 and 1."""

    straight_through = False

    def forward(self, input: Tensor) -> Tensor:
        """Apply the binarised weights."""
        weight = self.weight.sign()
        if self.straight_through:
            weight = self.weight + (weight - self.weight).detach()
        output: Tensor = F.linear(input, weight) / self.in_features**0.5
        return output


class TrainableBinaryLinear(BinaryLinear):
    """The same with a straight-through estimator."""

    straight_through = True


def build(linear: type[BinaryLinear], width: int) -> nn.Module:
    """Build the network."""
    return nn.Sequential(
        linear(64, width), nn.BatchNorm1d(width), nn.ReLU(),
        linear(width, width), nn.BatchNorm1d(width), nn.ReLU(),
        linear(width, 10), nn.BatchNorm1d(10),
    )  # fmt: skip


def model(width: int = 64) -> nn.Module:
    """Build it with plain signs."""
    return build(BinaryLinear, width)


def cured(width: int = 64) -> nn.Module:
    """Build it with straight-through signs."""
    return build(TrainableBinaryLinear, width)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(), size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=3e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits())
