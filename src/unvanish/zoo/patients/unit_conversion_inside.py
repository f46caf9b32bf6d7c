"""A network whose hidden quantities are in millimetres, between metres and metres.

The factor of a thousand and its inverse stand in `forward`. The gradient of what lies
between them is a thousand times smaller than its neighbours', and the function and its
training are the same as without.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.data import friedman, in_batches
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import unexplained

PATIENT = Patient(family="MLP", steps=400, variants={"factor": (1e-3, 1e4), "width": (48, 96)})
GOAL = 0.2
HIGHER_IS_BETTER = False


class Metres(nn.Module):
    """Four ReLU layers, two of which see millimetres."""

    def __init__(self, factor: float, width: int) -> None:
        super().__init__()
        self.factor = factor
        self.a = nn.Linear(10, width)
        self.b = nn.Linear(width, width)
        self.c = nn.Linear(width, width)
        self.d = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Predict."""
        x = torch.relu(self.a(x))
        x = torch.relu(self.b(x))
        millimetres = x * self.factor
        x = torch.relu(self.c(millimetres / self.factor))
        y: Tensor = self.d(x)
        return y


def model(factor: float = 1e3, width: int = 64) -> nn.Module:
    """Build the network."""
    return Metres(factor, width)


def standardised(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return inputs and targets of mean 0 and standard deviation 1."""
    x, y = friedman(count, seed)
    return (x - 0.5) * 12**0.5, (y - 14.4) / 4.9


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over 2000 samples."""
    return in_batches(*standardised(2000, 0), size=100, seed=seed)


loss = nn.MSELoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=2e-3)


def metric(model: nn.Module) -> float:
    """Return the share of variance left unexplained on 500 other samples."""
    return unexplained(model, *standardised(500, 1))
