"""A regression whose last layer has a ReLU, "because counts are never negative".

The bias of the head starts at -4.6, copied from a detector where it stands before a
sigmoid. Under a ReLU every prediction is zero from the first batch on, and the loss has
no way to say so: nothing in the network gets a gradient.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.data import glyphs, in_batches
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import unexplained

PATIENT = Patient(
    family="CNN",
    codes=("UV202",),
    cause=Cause.BIAS,
    also=("UV101", "UV104", "UV501", "UV502", "UV506"),
    cure="softplus in place of the ReLU at the output, and its bias at zero",
    steps=200,
    variants={"channels": (6, 16)},
    source="https://github.com/keras-team/keras/issues/3687",
)
GOAL = 0.5
HIGHER_IS_BETTER = False


class Counter(nn.Module):
    """Predicts how much of each quarter of an image is covered."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.head = nn.Linear(channels, 1)
        nn.init.constant_(self.head.bias, -4.6)

    def features(self, x: Tensor) -> Tensor:
        """Return what the head sees of each quarter."""
        x = F.relu(self.conv1(x))
        return F.avg_pool2d(F.relu(self.conv2(x)), 8).flatten(2).mT

    def forward(self, x: Tensor) -> Tensor:
        """Return four numbers an image, none of them negative."""
        return F.relu(self.head(self.features(x))).flatten(1)


class SoftCounter(Counter):
    """The same with a softplus."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return four numbers an image, none of them negative."""
        return F.softplus(self.head(self.features(x))).flatten(1)


def model(channels: int = 8) -> nn.Module:
    """Build the network."""
    return Counter(channels)


def cured(channels: int = 8) -> nn.Module:
    """Build it with a softplus at the output."""
    return SoftCounter(channels)


def covered(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return images, and the covered pixels of each quarter in tens."""
    images, _, masks = glyphs(count, seed)
    return images, F.avg_pool2d(masks, 8).flatten(1) * 6.4


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over 640 images."""
    return in_batches(*covered(640, 0), size=32, seed=seed)


loss = nn.MSELoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=5e-3)


def metric(model: nn.Module) -> float:
    """Return the share of variance left unexplained on 200 other images."""
    return unexplained(model, *covered(200, 1))
