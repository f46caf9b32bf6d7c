"""The critic of a Wasserstein GAN with a gradient penalty.

The penalty is a function of the critic's gradient at points between real and fake, so that
training differentiates twice. The critic's output has no sigmoid and no natural scale.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.patient import Patient
from unvanish.zoo.sequences import HELD_OUT, gaussian_ring

PATIENT = Patient(
    family="GAN",
    steps=500,
    variants={"width": (32, 128)},
    source="Gulrajani and others (2017)",
)
GOAL = 0.5
HIGHER_IS_BETTER = True


class Critic(nn.Module):
    """Score points; in training also return the slope between the two clouds."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(2, width), nn.LeakyReLU(0.2),
            nn.Linear(width, width), nn.LeakyReLU(0.2),
            nn.Linear(width, 1),
        )  # fmt: skip

    def forward(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return both scores and the norm of the gradient at points in between."""
        mix = torch.rand(len(real), 1, device=real.device)
        between = (mix * real + (1 - mix) * fake).requires_grad_()
        with torch.enable_grad():
            score = self.net(between).sum()
        (slope,) = torch.autograd.grad(score, between, create_graph=True)
        return self.net(real), self.net(fake), slope.norm(dim=1)


def model(width: int = 64) -> nn.Module:
    """Build the critic."""
    return Critic(width)


def _fakes(size: int, seed: int) -> Tensor:
    """Return what an untrained generator would make: a blob in the middle."""
    return 0.2 * torch.randn(size, 2, generator=torch.Generator().manual_seed(seed))


def data(seed: int = 0) -> Iterator[dict[str, Tensor]]:
    """Yield real points and fakes."""
    for number in range(50 * seed, 50 * seed + 50):
        yield {"real": gaussian_ring(number, size=128), "fake": _fakes(128, number)}


def loss(output: tuple[Tensor, Tensor, Tensor], _target: None) -> Tensor:
    """Return the critic's loss with the penalty on slopes other than 1."""
    real, fake, slope = output
    return fake.mean() - real.mean() + 10 * ((slope - 1) ** 2).mean()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam and little momentum."""
    return torch.optim.Adam(model.parameters(), lr=5e-3, betas=(0.5, 0.9))


@torch.no_grad()
def metric(model: nn.Module) -> float:
    """Return the estimated Wasserstein distance; the radius alone is worth 0.75."""
    real, fake = gaussian_ring(HELD_OUT, size=1000), _fakes(1000, HELD_OUT)
    return float(model.net(real).mean() - model.net(fake).mean())
