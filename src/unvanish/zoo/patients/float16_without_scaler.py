"""Float16 autocast without a GradScaler, on a loss averaged over many pixels.

The gradient of a single output pixel is around 1e-8, and the smallest number float16
knows is 6e-8. Most of it is rounded to zero before it gets to the last layer. BFloat16 has
the range of float32 and needs no scaler.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.data import glyphs, in_batches
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import unexplained

PATIENT = Patient(
    family="autoencoder",
    codes=("UV402",),
    cause=Cause.PRECISION,
    also=("UV101", "UV401", "UV502"),
    cure="bfloat16 in place of float16",
    steps=150,
    variants={"channels": (6, 12)},
    source="https://github.com/engichang1467/Open-Rig3R/issues/35",
)
GOAL = 0.3
HIGHER_IS_BETTER = False
AUTOCAST = "float16"
CURED_AUTOCAST = "bfloat16"


def model(channels: int = 8) -> nn.Module:
    """Build a small network that takes the noise out of images."""
    return nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=1), nn.GELU(),
        nn.Conv2d(channels, channels, 3, padding=1), nn.GELU(),
        nn.Conv2d(channels, channels, 3, padding=1), nn.GELU(),
        nn.Conv2d(channels, 1, 3, padding=1),
    )  # fmt: skip


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over 320 noisy images and the clean ones."""
    images, _, masks = glyphs(320, 0)
    return in_batches(images, masks, size=32, seed=seed)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared error, weighted as one of several losses."""
    return 1e-4 * nn.functional.mse_loss(output.float(), target)


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=5e-3)


def metric(model: nn.Module) -> float:
    """Return the share of variance left unexplained on 100 other images."""
    images, _, masks = glyphs(100, 1)
    return unexplained(model, images, masks)
