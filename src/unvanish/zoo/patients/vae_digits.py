"""A variational autoencoder of handwritten digits, its loss summed over pixels.

Some dimensions of the code collapse to the prior and carry no information. That is how
the model says that it does not need them.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient

PATIENT = Patient(
    family="autoencoder",
    steps=400,
    variants={"code": (6, 12)},
    source="Kingma and Welling (2014)",
)
GOAL = 28.0
HIGHER_IS_BETTER = False

Output = tuple[Tensor, Tensor, Tensor]


class VAE(nn.Module):
    """64 pixels to a distribution over codes, and back."""

    def __init__(self, code: int, hidden: int = 96) -> None:
        super().__init__()
        self.fc1 = nn.Linear(64, hidden)
        self.fc21 = nn.Linear(hidden, code)
        self.fc22 = nn.Linear(hidden, code)
        self.fc3 = nn.Linear(code, hidden)
        self.fc4 = nn.Linear(hidden, 64)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of the code."""
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu: Tensor, logvar: Tensor) -> Tensor:
        """Draw a code."""
        return mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)

    def decode(self, z: Tensor) -> Tensor:
        """Return the pixels' logits."""
        logits: Tensor = self.fc4(F.relu(self.fc3(z)))
        return logits

    def forward(self, x: Tensor) -> Output:
        """Return logits, mean and log-variance."""
        mu, logvar = self.encode(x)
        return self.decode(self.reparameterize(mu, logvar)), mu, logvar


def model(code: int = 8) -> nn.Module:
    """Build the network."""
    return VAE(code)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images, each its own target."""
    images, _ = training_digits()
    return in_batches(images, images, size=64, seed=seed)


def loss(output: Output, target: Tensor) -> Tensor:
    """Return the negative evidence lower bound of the whole batch."""
    logits, mu, logvar = output
    reconstruction = F.binary_cross_entropy_with_logits(logits, target, reduction="sum")
    divergence = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return reconstruction + divergence


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=2e-3)


@torch.no_grad()
def metric(model: nn.Module) -> float:
    """Return the negative lower bound of an image that the training never sees."""
    images, _ = held_out_digits()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return float(loss(model(images), images)) / len(images)
