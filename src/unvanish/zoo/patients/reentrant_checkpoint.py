"""Activation checkpointing of the body, in the reentrant variant, on plain inputs.

The reentrant variant only builds a graph where one of its inputs needs a gradient. The
images do not, so the whole body is computed without one, and PyTorch says so in a
warning that scrolls by once.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from unvanish.core.findings import Cause
from unvanish.zoo.data import glyphs, in_batches
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(
    family="CNN",
    codes=("UV505",),
    cause=Cause.DETACHED_GRAPH,
    also=("UV501", "UV502", "UV504"),
    cure="use_reentrant=False",
    steps=300,
    variants={"channels": (6, 12)},
    source="https://github.com/mlfoundations/open_clip/pull/573",
)
GOAL = 0.75
HIGHER_IS_BETTER = True


class Classifier(nn.Module):
    """A checkpointed body and a head."""

    def __init__(self, channels: int, *, use_reentrant: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, channels, 3, stride=2, padding=1),
            nn.GroupNorm(2, channels),
            nn.GELU(),
            nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1),
            nn.GroupNorm(2, 2 * channels),
            nn.GELU(),
            nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
        )
        self.head = nn.Linear(2 * channels, 4)
        self.use_reentrant = use_reentrant

    def forward(self, x: Tensor) -> Tensor:
        """Map images to 4 scores."""
        features = checkpoint(self.body, x, use_reentrant=self.use_reentrant)
        scores: Tensor = self.head(features)
        return scores


def model(channels: int = 8) -> nn.Module:
    """Build the network."""
    return Classifier(channels, use_reentrant=True)


def cured(channels: int = 8) -> nn.Module:
    """Build it with the other variant of checkpointing."""
    return Classifier(channels, use_reentrant=False)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over 1280 images."""
    images, labels, _ = glyphs(1280, 0)
    return in_batches(images, labels, size=64, seed=seed)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Compare scores with labels."""
    return nn.functional.cross_entropy(output, target)


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use AdamW."""
    return torch.optim.AdamW(model.parameters(), lr=1e-2)


def metric(model: nn.Module) -> float:
    """Return the accuracy on 400 images the training never sees."""
    images, labels, _ = glyphs(400, 1)
    return accuracy(model, images, labels)
