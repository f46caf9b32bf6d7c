"""A compressing autoencoder that rounds its code to whole numbers, with `torch.round`.

Rounding is flat everywhere, so the encoder gets a gradient of exactly zero and stays as
random as it began; only the decoder learns. Adding the rounding error as a constant
would have kept the numbers whole and the gradient alive.
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
    codes=("UV205",),
    cause=Cause.ACTIVATION_SLOPE,
    also=("UV101", "UV501", "UV502"),
    cure="rounding that passes the gradient through: x + (round(x) - x).detach()",
    steps=400,
    variants={"hidden": (32, 96)},
    source="Theis, Shi, Cunningham and Huszar (2017)",
)
GOAL = 0.45
HIGHER_IS_BETTER = False


def round_through(x: Tensor) -> Tensor:
    """Round, and let the gradient pass."""
    return x + (x.round() - x).detach()


class Codec(nn.Module):
    """Eight whole numbers an image."""

    def __init__(self, hidden: int, code: int, *, through: bool) -> None:
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, code))
        self.decode = nn.Sequential(nn.Linear(code, hidden), nn.ReLU(), nn.Linear(hidden, 64))
        self.quantise = round_through if through else torch.round

    def forward(self, image: Tensor) -> Tensor:
        """Compress and decompress."""
        z = 8.0 * self.encode(image)
        out: Tensor = self.decode(self.quantise(z) / 8.0)
        return out


def model(hidden: int = 64, code: int = 8) -> nn.Module:
    """Build the network."""
    return Codec(hidden, code, through=False)


def cured(hidden: int = 64, code: int = 8) -> nn.Module:
    """Build it with rounding that passes the gradient."""
    return Codec(hidden, code, through=True)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images, each its own target."""
    images, _ = training_digits()
    return in_batches(images, images, size=64, seed=seed)


loss = nn.MSELoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=3e-3)


def metric(model: nn.Module) -> float:
    """Return the share of the images' variance that is lost."""
    images, _ = held_out_digits()
    return unexplained(model, images, images)
