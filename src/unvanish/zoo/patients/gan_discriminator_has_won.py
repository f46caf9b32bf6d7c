"""The generator's turn in a GAN whose discriminator was trained until it made no mistake.

With the loss of the original paper, log(1 - D(G(z))), a discriminator that is certain gives the
generator no gradient: the sigmoid at its end is flat. Here the real points lie far from where
the generator starts, which makes them easy to tell. -log D(G(z)) has the same goal and a gradient.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.patient import Patient
from unvanish.zoo.sequences import HELD_OUT, gaussian_ring

PATIENT = Patient(
    family="GAN",
    codes=("UV203",),
    cause=Cause.LOSS_SATURATION,
    also=("UV101", "UV401", "UV402", "UV502"),
    cure="the non-saturating loss -log D(G(z))",
    steps=300,
    variants={"width": (32, 128)},
    source="pytorch/examples#822; Goodfellow and others (2014), section 3",
)
GOAL = 0.9
HIGHER_IS_BETTER = True

NOISE = 8
FAR_AWAY = 4.0


class GeneratorTurn(nn.Module):
    """The generator, followed by a discriminator that does not learn in this turn."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.generator = nn.Sequential(
            nn.Linear(NOISE, width), nn.ReLU(),
            nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, 2),
        )  # fmt: skip
        self.discriminator = nn.Sequential(
            nn.Linear(2, width), nn.LeakyReLU(0.2),
            nn.Linear(width, width), nn.LeakyReLU(0.2),
            nn.Linear(width, 1),
        )  # fmt: skip

    def forward(self, z: Tensor) -> Tensor:
        """Return the discriminator's scores of what the generator makes."""
        scores: Tensor = self.discriminator(self.generator(z))
        return scores


def _let_discriminator_win(players: GeneratorTurn) -> None:
    """Train the discriminator alone until it is certain."""
    optimizer = torch.optim.Adam(players.discriminator.parameters(), lr=1e-2)
    for step in range(200):
        fake = players.generator(torch.randn(128, NOISE)).detach()
        real = FAR_AWAY + gaussian_ring(step, size=128)
        scores = players.discriminator(torch.cat([real, fake])).squeeze(1)
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(scores, (torch.arange(256) < 128).float()).backward()
        optimizer.step()
    players.discriminator.requires_grad_(False)


def model(width: int = 64) -> nn.Module:
    """Build both players and let the discriminator win."""
    players = GeneratorTurn(width)
    with torch.enable_grad():
        _let_discriminator_win(players)
    return players


def data(seed: int = 0) -> Iterator[Tensor]:
    """Yield noise."""
    random = torch.Generator().manual_seed(seed)
    for _ in range(50):
        yield torch.randn(64, NOISE, generator=random)


def loss(output: Tensor, _target: None) -> Tensor:
    """Return the generator's side of the minimax game: log(1 - D(G(z)))."""
    return torch.log(1 - torch.sigmoid(output) + 1e-12).mean()


def cured_loss(output: Tensor, _target: None) -> Tensor:
    """Return -log D(G(z))."""
    return -F.logsigmoid(output).mean()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train the generator alone, with momentum as the original paper did."""
    return torch.optim.SGD(model.generator.parameters(), lr=5e-3, momentum=0.5)


@torch.no_grad()
def metric(model: nn.Module) -> float:
    """Return the share of generated points that the discriminator takes for real."""
    z = torch.randn(500, NOISE, generator=torch.Generator().manual_seed(HELD_OUT))
    return float((model(z) > 0).float().mean())
