"""Convolutions whose channels are weighed by gates that the image itself sets.

Each gate is a sigmoid, half open at the start. It halves the signal on the way, and the
normalisation that follows makes up for that.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(
    family="CNN",
    steps=150,
    variants={"channels": (8, 24)},
    source="Hu, Shen and Sun (2018)",
)
GOAL = 0.85
HIGHER_IS_BETTER = True


class SELayer(nn.Module):
    """Weighs channels."""

    def __init__(self, channel: int, reduction: int = 4) -> None:
        super().__init__()
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Sequential(
            nn.Linear(channel, channel // reduction, bias=False),
            nn.ReLU(inplace=True),
            nn.Linear(channel // reduction, channel, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the weighed channels."""
        b, c, _, _ = x.size()
        y = self.fc(self.avg_pool(x).view(b, c)).view(b, c, 1, 1)
        weighed: Tensor = x * y.expand_as(x)
        return weighed


def model(channels: int = 16) -> nn.Module:
    """Build the network."""
    layers: list[nn.Module] = []
    inside = 1
    for _ in range(3):
        layers += [nn.Conv2d(inside, channels, 3, padding=1, bias=False)]
        layers += [nn.BatchNorm2d(channels), nn.ReLU(inplace=True), SELayer(channels)]
        inside = channels
    return nn.Sequential(*layers, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16 * channels, 10))


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(1, 8, 8), size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use RMSprop."""
    return torch.optim.RMSprop(model.parameters(), lr=1e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits(1, 8, 8))
