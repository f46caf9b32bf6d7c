"""An autoencoder that gives noisy digits back without the noise, through 24 numbers."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import unexplained

PATIENT = Patient(
    family="autoencoder",
    steps=400,
    variants={"code": (16, 32)},
    source="Vincent, Larochelle, Bengio and Manzagol (2008)",
)
GOAL = 0.4
HIGHER_IS_BETTER = False


class DenoisingAutoencoder(nn.Module):
    """Adds the noise itself, in training only."""

    def __init__(self, code: int, noise: float = 0.2) -> None:
        super().__init__()
        self.noise = noise
        self.encoder = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, code), nn.ReLU())
        self.decoder = nn.Sequential(nn.Linear(code, 64), nn.ReLU(), nn.Linear(64, 64))

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruct."""
        if self.training:
            x = x + self.noise * torch.randn_like(x)
        return torch.sigmoid(self.decoder(self.encoder(x)))


def model(code: int = 24) -> nn.Module:
    """Build the network."""
    return DenoisingAutoencoder(code)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images, each its own target."""
    images, _ = training_digits()
    return in_batches(images, images, size=64, seed=seed)


loss = "mse_loss"


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=2e-3)


def metric(model: nn.Module) -> float:
    """Return the share of the images' variance that is lost, without noise."""
    images, _ = held_out_digits()
    return unexplained(model, images, images)
