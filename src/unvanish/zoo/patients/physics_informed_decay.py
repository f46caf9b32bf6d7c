"""A physics-informed network: it solves u' = -2 u with u(0) = 1 and sees no solution.

The network's own derivative with respect to its input is part of the loss, so that the
backward pass goes through a backward pass.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.patient import Patient

PATIENT = Patient(
    family="physics-informed",
    steps=400,
    variants={"width": (16, 48)},
    source="Raissi, Perdikaris and Karniadakis (2019)",
)
GOAL = 0.05
HIGHER_IS_BETTER = False


class Solution(nn.Module):
    """The solution and its derivative."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(1, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1)
        )

    def forward(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Return u and u'."""
        with torch.enable_grad():
            t = t.detach().requires_grad_()
            u = self.net(t)
            (du,) = torch.autograd.grad(u.sum(), t, create_graph=True)
        return u, du


def model(width: int = 32) -> nn.Module:
    """Build the network."""
    return Solution(width)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield twenty batches of times between 0 and 2, and whether each is the beginning."""
    random = torch.Generator().manual_seed(seed)
    for _ in range(20):
        t = 2 * torch.rand(64, 1, generator=random)
        t[:8] = 0.0
        yield t, (t == 0).float()


def loss(output: tuple[Tensor, Tensor], at_start: Tensor) -> Tensor:
    """Return the squared residual, and the squared error where it begins."""
    u, du = output
    residual = (du + 2 * u).square().mean()
    start = ((u - 1) * at_start).square().sum() / at_start.sum()
    return residual + start


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=3e-3)


def metric(model: nn.Module) -> float:
    """Return the largest error on a grid of times."""
    t = torch.linspace(0, 2, 50)[:, None]
    u, _ = model(t)
    return float((u.detach() - torch.exp(-2 * t)).abs().max())
