"""A cross-entropy written by hand, over probabilities that can be exactly zero.

The network ends in a ReLU and a division by the sum, so that some class has probability
zero in almost every batch. Its logarithm is minus infinity, zero times that is NaN, and
after one step every weight is NaN.
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
    codes=("UV403",),
    cause=Cause.LOSS_SATURATION,
    also=("UV202", "UV203", "UV204"),
    cure="log_softmax, which never forms the probabilities",
    steps=200,
    variants={"width": (32, 96)},
)
GOAL = 0.85
HIGHER_IS_BETTER = True


class Evidence(nn.Module):
    """Shares of non-negative evidence for each class."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(64, width)
        self.evidence = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return probabilities."""
        evidence = torch.relu(self.evidence(torch.relu(self.hidden(x))))
        return evidence / evidence.sum(dim=1, keepdim=True)


class Scores(Evidence):
    """The same layers, their scores as they are."""

    def forward(self, x: Tensor) -> Tensor:
        """Return scores."""
        scores: Tensor = self.evidence(torch.relu(self.hidden(x)))
        return scores


def model(width: int = 64) -> nn.Module:
    """Build the network."""
    return Evidence(width)


def cured(width: int = 64) -> nn.Module:
    """Build it without the division."""
    return Scores(width)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(), size=64, seed=seed)


def loss(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy."""
    wanted = nn.functional.one_hot(labels, 10)
    return -(wanted * torch.log(probabilities)).sum(dim=1).mean()


def cured_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy."""
    wanted = nn.functional.one_hot(labels, 10)
    return -(wanted * torch.log_softmax(scores, dim=1)).sum(dim=1).mean()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=3e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits())
