"""A vision transformer on pixels from 0 to 255.

The patch embedding passes the scale on, and against patches of that size a position
embedding of 0.02 and whatever the blocks add are rounding errors: the layer norms see patches
without a place, and the average at the end is that of the patches alone.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(
    family="vision transformer",
    codes=("UV503",),
    cause=Cause.INPUT_SCALE,
    also=("UV101", "UV103", "UV302", "UV404", "UV405", "UV502"),
    cure="divide the pixels by 255",
    steps=250,
    variants={"dim": (32, 96), "depth": (2,)},
)
GOAL = 0.85
HIGHER_IS_BETTER = True


class ViT(nn.Module):
    """Patches of 2 x 2 pixels, a few pre-norm blocks, the mean of all patches."""

    def __init__(self, depth: int, dim: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, dim, kernel_size=2, stride=2)
        self.position = nn.Parameter(0.02 * torch.randn(1, 16, dim))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                dim, 4, 2 * dim, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Map ``(batch, 1, 8, 8)`` to class scores."""
        x = self.patches(image).flatten(2).transpose(1, 2) + self.position
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.head(self.norm(x.mean(dim=1)))
        return out


class Normalize(nn.Module):
    """Bring pixels to [0, 1]."""

    def forward(self, image: Tensor) -> Tensor:
        """Divide by 255."""
        return image / 255


def model(depth: int = 3, dim: int = 64) -> nn.Module:
    """Build the network."""
    return ViT(depth, dim)


def cured(depth: int = 3, dim: int = 64) -> nn.Module:
    """Build the network behind a normalisation."""
    return nn.Sequential(Normalize(), ViT(depth, dim))


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training digits."""
    images, labels = training_digits(1, 8, 8)
    return in_batches((255 * images).round(), labels, size=64, seed=seed)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Compare scores with labels."""
    return nn.functional.cross_entropy(output, target)


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with AdamW."""
    return torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)


def metric(model: nn.Module) -> float:
    """Return the accuracy on digits the training never sees."""
    images, labels = held_out_digits(1, 8, 8)
    return accuracy(model, (255 * images).round(), labels)
