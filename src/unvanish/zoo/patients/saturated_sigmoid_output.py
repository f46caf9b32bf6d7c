"""One sigmoid a class, mean squared error, and a head that starts out sure of "no".

The bias of the head is set for a prior of one in a million, as detectors do for rare
objects. Under cross-entropy that is put right in a few steps. Squared error does not
divide out the slope of the sigmoid, which is a millionth there: the more wrong an output
is, the less it is told.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(
    family="MLP",
    codes=("UV203",),
    cause=Cause.LOSS_SATURATION,
    also=("UV101", "UV102", "UV201", "UV401", "UV502"),
    cure="cross-entropy on the logits",
    steps=500,
    variants={"prior": (1e-5, 1e-7)},
    source="Lin, Goyal, Girshick, He and Dollar (2017), the prior",
)
GOAL = 0.85
HIGHER_IS_BETTER = True


class Net(nn.Module):
    """Tanh features, ten independent outputs."""

    def __init__(self, prior: float, *, probabilities: bool) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh())
        self.head = nn.Linear(64, 10)
        nn.init.constant_(self.head.bias, -math.log((1 - prior) / prior))
        self.probabilities = probabilities

    def forward(self, x: Tensor) -> Tensor:
        """Return probabilities, or logits."""
        logits: Tensor = self.head(self.features(x))
        return torch.sigmoid(logits) if self.probabilities else logits


def model(prior: float = 1e-6) -> nn.Module:
    """Build the network."""
    return Net(prior, probabilities=True)


def cured(prior: float = 1e-6) -> nn.Module:
    """Build it without its last sigmoid, which the loss brings."""
    return Net(prior, probabilities=False)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images, labels as ten zeros and ones."""
    images, labels = training_digits()
    return in_batches(images, F.one_hot(labels, 10).float(), size=64, seed=seed)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared error."""
    return F.mse_loss(output, target)


def cured_loss(output: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy of each class with its logit."""
    return F.binary_cross_entropy_with_logits(output, target)


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with plain momentum."""
    return torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits())
