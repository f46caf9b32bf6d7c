"""A small RealNVP on two moons: bounded scales, couplings that start as the identity.

The last layer of each coupling is zero at the start, so that the layers before it have no
gradient in the very first step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from unvanish.zoo.data import in_batches, moons
from unvanish.zoo.patient import Patient

PATIENT = Patient(
    family="normalising flow",
    steps=400,
    variants={"couplings": (4, 8)},
    source="Dinh, Sohl-Dickstein and Bengio (2017)",
)
GOAL = 2.1
HIGHER_IS_BETTER = False


class AffineCoupling(nn.Module):
    """Changes the coordinates that the mask leaves, by what the others say."""

    mask: Tensor

    def __init__(self, mask: Tensor, width: int = 32) -> None:
        super().__init__()
        self.register_buffer("mask", mask)
        self.hidden = nn.Sequential(nn.Linear(2, width), nn.ReLU(), nn.Linear(width, width))
        self.scale = nn.Linear(width, 2)
        self.shift = nn.Linear(width, 2)
        for layer in (self.scale, self.shift):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the new point, and the logarithm of the volume's change."""
        kept = self.mask * x
        h = torch.relu(self.hidden(kept))
        s = (1 - self.mask) * torch.tanh(self.scale(h))
        t = (1 - self.mask) * self.shift(h)
        return kept + (1 - self.mask) * (x * s.exp() + t), s.sum(dim=1)


class RealNVP(nn.Module):
    """Couplings with alternating masks."""

    def __init__(self, couplings: int) -> None:
        super().__init__()
        masks = [torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])]
        self.layers = nn.ModuleList(AffineCoupling(masks[i % 2]) for i in range(couplings))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return latent points and log-determinants."""
        log_det = x.new_zeros(len(x))
        for layer in self.layers:
            x, change = layer(x)
            log_det = log_det + change
        return x, log_det


def model(couplings: int = 6) -> nn.Module:
    """Build the flow."""
    return RealNVP(couplings)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over 2000 points; the targets are not used."""
    points = 1.5 * moons(2000, 0)
    return in_batches(points, torch.zeros(len(points)), size=100, seed=seed)


def loss(output: tuple[Tensor, Tensor], target: Tensor) -> Tensor:
    """Return the mean negative log-density."""
    del target
    z, log_det = output
    log_density: Tensor = Normal(0.0, 1.0).log_prob(z).sum(dim=1) + log_det
    return -log_density.mean()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=3e-3)


@torch.no_grad()
def metric(model: nn.Module) -> float:
    """Return the mean negative log-density of 1000 other points."""
    z, log_det = model(1.5 * moons(1000, 1))
    squares = 0.5 * z.square().sum(dim=1) + math.log(2 * math.pi)
    return float((squares - log_det).mean())
