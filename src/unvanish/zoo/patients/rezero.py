"""Forty residual layers, each behind a gate that starts at zero.

At first only the gates have a gradient and the layers behind them have exactly none. As
soon as a gate has moved its layer begins to learn.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(
    family="ResNet",
    steps=200,
    variants={"depth": (20, 60), "width": (48, 96)},
    source="Bachlechner, Majumder, Mao, Cottrell and McAuley (2021)",
)
GOAL = 0.85
HIGHER_IS_BETTER = True


class ReZeroLayer(nn.Module):
    """x + gate * relu(W x)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)
        self.gate = nn.Parameter(torch.tensor(0.0))

    def forward(self, x: Tensor) -> Tensor:
        """Add the gated layer."""
        return x + self.gate * torch.relu(self.linear(x))


def model(depth: int = 40, width: int = 64) -> nn.Module:
    """Build the network."""
    layers = [ReZeroLayer(width) for _ in range(depth)]
    return nn.Sequential(nn.Linear(64, width), *layers, nn.Linear(width, 10))


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(), size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=2e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits())
