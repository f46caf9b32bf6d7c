"""A small GAN, both players in one step, with the non-saturating loss.

The generator plays against the discriminator as it is, whose weights are held fixed in the
generator's part of the loss. The players are of equal strength, and neither is ever certain.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from unvanish.zoo.patient import Patient
from unvanish.zoo.sequences import HELD_OUT, energy_distance, gaussian_ring

PATIENT = Patient(
    family="GAN",
    steps=800,
    variants={"width": (48, 96)},
    source="Goodfellow and others (2014)",
)
GOAL = 0.1
HIGHER_IS_BETTER = False

NOISE = 4


def _mlp(inputs: int, width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, width), nn.LeakyReLU(0.2),
        nn.Linear(width, width), nn.LeakyReLU(0.2),
        nn.Linear(width, outputs),
    )  # fmt: skip


class GAN(nn.Module):
    """Generator and discriminator."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.generator = _mlp(NOISE, width, 2)
        self.discriminator = _mlp(2, width, 1)

    def forward(self, real: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return scores: of real points, of fakes for the judge, of fakes for the forger."""
        fake = self.generator(noise)
        as_it_is = {name: p.detach() for name, p in self.discriminator.named_parameters()}
        return (
            self.discriminator(real),
            self.discriminator(fake.detach()),
            functional_call(self.discriminator, as_it_is, (fake,)),
        )


def model(width: int = 64) -> nn.Module:
    """Build both players."""
    return GAN(width)


def data(seed: int = 0) -> Iterator[dict[str, Tensor]]:
    """Yield points on a ring, and noise."""
    random = torch.Generator().manual_seed(seed)
    for number in range(50):
        yield {
            "real": gaussian_ring(50 * seed + number, size=128),
            "noise": torch.randn(128, NOISE, generator=random),
        }


def loss(output: tuple[Tensor, Tensor, Tensor], _target: None) -> Tensor:
    """Add what each player wants to lower."""
    real, fake, forged = output
    judge = F.softplus(-real).mean() + F.softplus(fake).mean()
    forger = F.softplus(-forged).mean()
    return judge + forger


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train both with Adam, with little momentum."""
    return torch.optim.Adam(model.parameters(), lr=2e-3, betas=(0.5, 0.99))


@torch.no_grad()
def metric(model: nn.Module) -> float:
    """Return the energy distance of 1000 generated points from real ones."""
    noise = torch.randn(1000, NOISE, generator=torch.Generator().manual_seed(HELD_OUT))
    return float(energy_distance(model.generator(noise), gaussian_ring(HELD_OUT, size=1000)))
