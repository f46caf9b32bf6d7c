"""A diffusion model of two moons: tell the noise in a point, given how noisy it is.

The time of the diffusion enters as an embedding of sines and cosines. The loss of such a
network stays near its start for good, since most of the noise cannot be told.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.data import moons
from unvanish.zoo.patient import Patient

PATIENT = Patient(
    family="diffusion",
    steps=400,
    variants={"width": (48, 96), "blocks": (2, 4)},
    source="Ho, Jain and Abbeel (2020)",
)
GOAL = 0.65
HIGHER_IS_BETTER = False

STEPS = 100


class Denoiser(nn.Module):
    """Residual blocks, each told the time."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.inp = nn.Linear(2, width)
        self.time = nn.Sequential(nn.Linear(32, width), nn.SiLU(), nn.Linear(width, width))
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU())
            for _ in range(blocks)
        )
        self.out = nn.Linear(width, 2)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Predict the noise in x at time t."""
        frequencies = torch.exp(-math.log(1000) * torch.arange(16, device=x.device) / 16)
        angles = t[:, None] * frequencies
        time = self.time(torch.cat([angles.sin(), angles.cos()], dim=1))
        h = self.inp(x)
        for block in self.blocks:
            h = h + block(h + time)
        noise: Tensor = self.out(h)
        return noise


def model(width: int = 64, blocks: int = 3) -> nn.Module:
    """Build the network."""
    return Denoiser(width, blocks)


def noised(points: Tensor, seed: int) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """Return points with noise and their times, and the noise."""
    random = torch.Generator().manual_seed(seed)
    t = torch.randint(STEPS, (len(points),), generator=random)
    kept = torch.cos(0.5 * math.pi * (t + 1) / (STEPS + 1))[:, None]
    noise = torch.randn(points.shape, generator=random)
    return (kept * points + (1 - kept.square()).sqrt() * noise, t.float()), noise


def data(seed: int = 0) -> Iterator[tuple[tuple[Tensor, Tensor], Tensor]]:
    """Yield twenty batches of fresh noise on 2560 points."""
    for i, points in enumerate((1.5 * moons(2560, 0)).split(128)):
        yield noised(points, 100 * seed + i)


loss = nn.MSELoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use AdamW."""
    return torch.optim.AdamW(model.parameters(), lr=2e-3)


@torch.no_grad()
def metric(model: nn.Module) -> float:
    """Return the mean squared error on 2000 other points."""
    (x, t), noise = noised(1.5 * moons(2000, 1), 10_000_019)
    return float((model(x, t) - noise).square().mean())
