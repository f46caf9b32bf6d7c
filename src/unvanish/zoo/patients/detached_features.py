"""A feature extractor whose output is detached before the head uses it.

The line was written to save memory while the head was tried out alone, and stayed. The
loss cannot reach the extractor, which keeps the weights it started with.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.data import glyphs, in_batches
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(
    family="CNN",
    codes=("UV501",),
    cause=Cause.DETACHED_GRAPH,
    also=("UV502", "UV504", "UV505"),
    cure="no detach()",
    steps=300,
    variants={"channels": (6, 12)},
    source="https://github.com/isayev/ReLeaSE/issues/39",
)
GOAL = 0.75
HIGHER_IS_BETTER = True


class Extractor(nn.Module):
    """Three convolutions with a stride."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, channels, 3, stride=2, padding=1),
            nn.GroupNorm(2, channels),
            nn.ReLU(),
            nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1),
            nn.GroupNorm(2, 2 * channels),
            nn.ReLU(),
            nn.AdaptiveMaxPool2d(1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return one vector an image."""
        vector: Tensor = self.net(x)
        return vector.flatten(1)


class Classifier(nn.Module):
    """An extractor and a head."""

    def __init__(self, channels: int, *, detach: bool) -> None:
        super().__init__()
        self.extractor = Extractor(channels)
        self.head = nn.Linear(2 * channels, 4)
        self.detach = detach

    def forward(self, x: Tensor) -> Tensor:
        """Map images to 4 scores."""
        features = self.extractor(x)
        if self.detach:
            features = features.detach()
        scores: Tensor = self.head(features)
        return scores


def model(channels: int = 8) -> nn.Module:
    """Build the network."""
    return Classifier(channels, detach=True)


def cured(channels: int = 8) -> nn.Module:
    """Build it without the detach."""
    return Classifier(channels, detach=False)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over 1280 images."""
    images, labels, _ = glyphs(1280, 0)
    return in_batches(images, labels, size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=1e-2)


def metric(model: nn.Module) -> float:
    """Return the accuracy on 400 images the training never sees."""
    images, labels, _ = glyphs(400, 1)
    return accuracy(model, images, labels)
