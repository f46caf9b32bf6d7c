"""A mean squared error in square metres, for lengths that are micrometres.

Targets of a millionth give errors of a millionth squared and gradients of 1e-12. Adam is
said not to mind the scale of a loss, and does not, down to its epsilon of 1e-8: below it
a step is smaller than any weight can tell.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.data import friedman, in_batches
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import unexplained

PATIENT = Patient(
    family="MLP",
    codes=("UV401",),
    cause=Cause.OPTIMISER_FLOOR,
    also=("UV404", "UV502", "UV506"),
    cure="an error in square micrometres",
    steps=400,
    variants={"width": (32, 96)},
)
GOAL = 0.2
HIGHER_IS_BETTER = False

MICROMETRE = 1e-6


class Thickness(nn.Module):
    """Predicts the thickness of a layer in micrometres from ten readings."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(10, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh()
        )
        self.head = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return micrometres beyond the nominal thickness."""
        y: Tensor = self.head(self.body(x))
        return y


def model(width: int = 48) -> nn.Module:
    """Build the network."""
    return Thickness(width)


def samples(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return readings and thicknesses."""
    x, y = friedman(count, seed)
    return (x - 0.5) * 12**0.5, (y - 14.4) / 4.9


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over 2000 samples."""
    return in_batches(*samples(2000, 0), size=100, seed=seed)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared error in square metres."""
    return ((output - target) * MICROMETRE).square().mean()


def cured_loss(output: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared error in square micrometres."""
    return (output - target).square().mean()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=3e-3)


def metric(model: nn.Module) -> float:
    """Return the share of variance left unexplained on 500 other samples."""
    return unexplained(model, *samples(500, 1))
