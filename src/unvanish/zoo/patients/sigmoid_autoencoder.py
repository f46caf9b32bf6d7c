"""A deep autoencoder with sigmoids all the way, after Hinton and Salakhutdinov's picture.

They trained it layer by layer first, and left the code layer linear. End to end the
sigmoids of eight layers take the gradient away before it reaches the encoder, and every
digit comes back as the mean image.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import unexplained

PATIENT = Patient(
    family="autoencoder",
    codes=("UV101",),
    cause=Cause.ACTIVATION_SLOPE,
    also=("UV103", "UV401", "UV502"),
    cure="ELU in place of the hidden sigmoids, and a linear code",
    steps=600,
    variants={"code": (6, 16)},
    source="Hinton and Salakhutdinov (2006), without the pretraining",
)
GOAL = 0.7
HIGHER_IS_BETTER = False


class AutoEncoder(nn.Module):
    """64 pixels to a small code and back."""

    def __init__(self, code: int, act: type[nn.Module], act_code: type[nn.Module]) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(64, 48), act(), nn.Linear(48, 32), act(), nn.Linear(32, 24), act(),
            nn.Linear(24, code), act_code(),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            nn.Linear(code, 24), act(), nn.Linear(24, 32), act(), nn.Linear(32, 48), act(),
            nn.Linear(48, 64), nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruct."""
        image: Tensor = self.decoder(self.encoder(x))
        return image


def model(code: int = 10) -> nn.Module:
    """Build the network."""
    return AutoEncoder(code, nn.Sigmoid, nn.Sigmoid)


def cured(code: int = 10) -> nn.Module:
    """Build it with ELU and a linear code."""
    return AutoEncoder(code, nn.ELU, nn.Identity)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images, each its own target."""
    images, _ = training_digits()
    return in_batches(images, images, size=64, seed=seed)


loss = nn.MSELoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=2e-3)


def metric(model: nn.Module) -> float:
    """Return the share of the images' variance that is lost."""
    images, _ = held_out_digits()
    return unexplained(model, images, images)
