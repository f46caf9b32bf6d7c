"""A network of sines with the initialisation that belongs to it, on one picture.

Each sine multiplies by 30 and each weight matrix is 30 times smaller to make up for it.
Looked at layer by layer that is a large factor and a small one; together they keep the
gradient.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.data import grid, scene
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import unexplained

PATIENT = Patient(
    family="implicit representation",
    steps=200,
    variants={"depth": (3, 6), "width": (48, 96)},
    source="Sitzmann, Martel, Bergman, Lindell and Wetzstein (2020)",
)
GOAL = 0.1
HIGHER_IS_BETTER = False


class SineLayer(nn.Module):
    """A linear layer and a sine."""

    def __init__(self, inside: int, outside: int, omega: float = 30.0, *, first: bool) -> None:
        super().__init__()
        self.omega = omega
        self.linear = nn.Linear(inside, outside)
        with torch.no_grad():
            bound = 1 / inside if first else math.sqrt(6 / inside) / omega
            self.linear.weight.uniform_(-bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """Apply both."""
        return torch.sin(self.omega * self.linear(x))


def model(depth: int = 4, width: int = 64) -> nn.Module:
    """Build the network."""
    layers: list[nn.Module] = [SineLayer(2, width, first=True)]
    layers += [SineLayer(width, width, first=False) for _ in range(depth - 1)]
    last = nn.Linear(width, 1)
    bound = math.sqrt(6 / width) / 30
    nn.init.uniform_(last.weight, -bound, bound)
    return nn.Sequential(*layers, last)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield every pixel of a picture of 32 x 32 at once."""
    del seed
    points = grid(32)
    yield points, scene(points)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared error."""
    return ((output - target) ** 2).mean()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=5e-4)


def metric(model: nn.Module) -> float:
    """Return the share of variance left unexplained between the pixels."""
    between = grid(45)
    return unexplained(model, between, scene(between))
