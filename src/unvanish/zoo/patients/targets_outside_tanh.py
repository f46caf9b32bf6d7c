"""A regression to angles in degrees by a network that ends in tanh.

The targets lie between -90 and 90, the output between -1 and 1. The loss pulls every
output to the nearest end, tanh goes flat there, and the answer is -1 or 1 degree.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.data import in_batches
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import unexplained

PATIENT = Patient(
    family="MLP",
    codes=("UV204",),
    cause=Cause.LOSS_SATURATION,
    also=("UV102", "UV203", "UV404", "UV502", "UV506"),
    cure="an output in degrees: 90 times the tanh",
    steps=300,
    variants={"width": (24, 96)},
)
GOAL = 0.1
HIGHER_IS_BETTER = False


class Steering(nn.Module):
    """Where to steer, from six positions and velocities."""

    def __init__(self, width: int, reach: float) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Linear(6, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
        )
        self.angle = nn.Linear(width, 1)
        self.reach = reach

    def forward(self, state: Tensor) -> Tensor:
        """Return an angle."""
        return self.reach * torch.tanh(self.angle(self.trunk(state)))


def model(width: int = 48) -> nn.Module:
    """Build the network."""
    return Steering(width, 1.0)


def cured(width: int = 48) -> nn.Module:
    """Build it with an output that reaches 90 degrees."""
    return Steering(width, 90.0)


def drives(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return states, and the angle a smooth driver would have steered, in degrees."""
    state = torch.randn(count, 6, generator=torch.Generator().manual_seed(seed))
    turn = state[:, 0] - 0.5 * state[:, 1] * state[:, 2] + 0.7 * (2 * state[:, 3]).sin()
    return state, 60 * torch.tanh(0.6 * turn)[:, None]


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over 3000 states."""
    return in_batches(*drives(3000, 0), size=100, seed=seed)


loss = nn.L1Loss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=3e-3)


def metric(model: nn.Module) -> float:
    """Return the share of variance left unexplained on 500 other states."""
    return unexplained(model, *drives(500, 1))
