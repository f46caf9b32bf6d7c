"""A logistic regression's habit, all weights zero, in a network with hidden layers.

A zero layer passes no signal up and, behind it, no gradient down. Only the bias of the
last layer ever moves, and the network learns how frequent each class is.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.data import in_batches, spirals
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(
    family="MLP",
    codes=("UV104",),
    cause=Cause.ZERO_INIT,
    also=("UV101", "UV103", "UV202", "UV501", "UV502"),
    cure="random weights in every layer but the last",
    steps=600,
    variants={"hidden": (32, 100)},
)
GOAL = 0.9
HIGHER_IS_BETTER = True


class Net(nn.Module):
    """Two hidden layers of tanh."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.w1 = nn.Parameter(torch.zeros(2, hidden))
        self.b1 = nn.Parameter(torch.zeros(hidden))
        self.w2 = nn.Parameter(torch.zeros(hidden, hidden))
        self.b2 = nn.Parameter(torch.zeros(hidden))
        self.w3 = nn.Parameter(torch.zeros(hidden, 3))
        self.b3 = nn.Parameter(torch.zeros(3))

    def forward(self, x: Tensor) -> Tensor:
        """Map a point of the plane to 3 scores."""
        h = torch.tanh(x @ self.w1 + self.b1)
        h = torch.tanh(h @ self.w2 + self.b2)
        return h @ self.w3 + self.b3


def model(hidden: int = 64) -> nn.Module:
    """Build the network."""
    return Net(hidden)


def cured(hidden: int = 64) -> nn.Module:
    """Build it with random hidden weights; the last layer may stay at zero."""
    net = Net(hidden)
    nn.init.normal_(net.w1, std=2.0)
    nn.init.normal_(net.w2, std=hidden**-0.5)
    return net


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over 1000 points."""
    return in_batches(*spirals(1000, 0), size=100, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=1e-2)


def metric(model: nn.Module) -> float:
    """Return the accuracy on 600 other points."""
    return accuracy(model, *spirals(600, 1))
