"""Sixty layers of ReLU and batch normalisation without a single skip connection.

Batch normalisation keeps the signal at unit scale at any depth, and makes the gradient
grow by about a fifth a layer on the way back. The deeper such a network, the larger the
gradient of its first layers, until every step there is noise.
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
    codes=("UV102",),
    cause=Cause.DEPTH_WITHOUT_SKIP,
    also=("UV103", "UV404", "UV405"),
    cure="skip connections around every layer",
    steps=150,
    variants={"depth": (50, 80)},
    source="Yang, Pennington, Rao, Sohl-Dickstein and Schoenholz (2019)",
)
GOAL = 0.85
HIGHER_IS_BETTER = True


class Layer(nn.Module):
    """Linear, BatchNorm, ReLU."""

    def __init__(self, width: int, *, skip: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width, bias=False)
        self.norm = nn.BatchNorm1d(width)
        self.skip = skip

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer, beside a shortcut if there is one."""
        y = torch.relu(self.norm(self.linear(x)))
        return x + y if self.skip else y


def build(depth: int, width: int, *, skip: bool) -> nn.Module:
    """Build the network."""
    body = [Layer(width, skip=skip) for _ in range(depth)]
    return nn.Sequential(nn.Linear(64, width), *body, nn.LayerNorm(width), nn.Linear(width, 10))


def model(depth: int = 60, width: int = 64) -> nn.Module:
    """Build it without skip connections."""
    return build(depth, width, skip=False)


def cured(depth: int = 60, width: int = 64) -> nn.Module:
    """Build it with skip connections."""
    return build(depth, width, skip=True)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(), size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with plain momentum."""
    return torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits())
