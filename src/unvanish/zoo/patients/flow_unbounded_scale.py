"""A normalising flow whose coupling layers may scale by the exponential of anything.

The scales come from networks with large weights, and ten couplings multiply them. The
density of the first batch is astronomically small, its gradient astronomically large,
and each step throws the points somewhere else.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.data import in_batches, moons
from unvanish.zoo.patient import Patient

PATIENT = Patient(
    family="normalising flow",
    codes=("UV102",),
    cause=Cause.INIT_TOO_LARGE,
    also=("UV201", "UV203", "UV403", "UV404", "UV405"),
    cure="scales bounded by tanh, and couplings that start as the identity",
    steps=400,
    variants={"couplings": (8, 12)},
    source="Dinh, Sohl-Dickstein and Bengio (2017)",
)
GOAL = 2.4
HIGHER_IS_BETTER = False


class Coupling(nn.Module):
    """Scales and shifts one coordinate by what the other one says."""

    def __init__(self, first: bool, *, bounded: bool) -> None:
        super().__init__()
        self.first, self.bounded = first, bounded
        last = nn.Linear(32, 2)
        if bounded:
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
        else:
            nn.init.normal_(last.weight)
        self.net = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), last)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the new point, and the logarithm of its scale."""
        a, b = x.chunk(2, dim=1)
        if self.first:
            a, b = b, a
        scale, shift = self.net(a).chunk(2, dim=1)
        if self.bounded:
            scale = torch.tanh(scale)
        b = b * scale.exp() + shift
        return torch.cat([b, a] if self.first else [a, b], dim=1), scale[:, 0]


class Flow(nn.Module):
    """Maps points to a normal distribution."""

    def __init__(self, couplings: int, *, bounded: bool) -> None:
        super().__init__()
        self.couplings = nn.ModuleList(
            Coupling(i % 2 == 0, bounded=bounded) for i in range(couplings)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the log-density of each point."""
        log_scale = torch.zeros(len(x))
        for coupling in self.couplings:
            x, scale = coupling(x)
            log_scale = log_scale + scale
        return log_scale - 0.5 * x.square().sum(dim=1) - math.log(2 * math.pi)


def model(couplings: int = 10) -> nn.Module:
    """Build the flow."""
    return Flow(couplings, bounded=False)


def cured(couplings: int = 10) -> nn.Module:
    """Build it with bounded scales."""
    return Flow(couplings, bounded=True)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over 2000 points; the targets are not used."""
    points = 1.5 * moons(2000, 0)
    return in_batches(points, torch.zeros(len(points)), size=100, seed=seed)


def loss(log_density: Tensor, target: Tensor) -> Tensor:
    """Return the mean negative log-density."""
    del target
    return -log_density.mean()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=5e-3)


@torch.no_grad()
def metric(model: nn.Module) -> float:
    """Return the mean negative log-density of 1000 other points."""
    return float(-model(1.5 * moons(1000, 1)).mean())
