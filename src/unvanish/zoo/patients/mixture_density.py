"""A network that answers with a mixture of normal distributions.

The question has several right answers (a sine, turned on its side), and each component
of the mixture gets a gradient in proportion to what it explains.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, MixtureSameFamily, Normal

from unvanish.zoo.data import in_batches
from unvanish.zoo.patient import Patient

PATIENT = Patient(
    family="mixture density",
    steps=500,
    variants={"components": (4, 8), "width": (24, 64)},
    source="Bishop (1994)",
)
GOAL = 0.2
HIGHER_IS_BETTER = False


class MDN(nn.Module):
    """One hidden layer and three heads."""

    def __init__(self, width: int, components: int) -> None:
        super().__init__()
        self.hidden = nn.Sequential(
            nn.Linear(1, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh()
        )
        self.pi = nn.Linear(width, components)
        self.mu = nn.Linear(width, components)
        self.log_sigma = nn.Linear(width, components)
        nn.init.uniform_(self.mu.bias, -1.0, 1.0)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits, means and standard deviations."""
        h = self.hidden(x)
        return self.pi(h), self.mu(h), self.log_sigma(h).exp()


def model(components: int = 6, width: int = 40) -> nn.Module:
    """Build the network."""
    return MDN(width, components)


def turned_sine(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return what used to be the answer, and what used to be the question."""
    random = torch.Generator().manual_seed(seed)
    y = 2 * torch.rand(count, 1, generator=random) - 1
    x = y + 0.3 * (2 * math.pi * y).sin() + 0.03 * torch.randn(count, 1, generator=random)
    return 2 * x, y


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over 2000 pairs."""
    return in_batches(*turned_sine(2000, 0), size=100, seed=seed)


def loss(output: tuple[Tensor, Tensor, Tensor], target: Tensor) -> Tensor:
    """Return the mean negative log-likelihood."""
    logits, mean, deviation = output
    mixture = MixtureSameFamily(
        Categorical(logits=logits, validate_args=False),
        Normal(mean, deviation, validate_args=False),
        validate_args=False,
    )
    likelihood: Tensor = mixture.log_prob(target[:, 0])
    return -likelihood.mean()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=3e-3)


@torch.no_grad()
def metric(model: nn.Module) -> float:
    """Return the negative log-likelihood of 1000 other pairs."""
    x, y = turned_sine(1000, 1)
    return float(loss(model(x), y))
