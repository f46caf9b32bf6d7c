"""A new head on a frozen backbone, here of random convolutions, which do for digits.

The backbone's parameters do not ask for gradients and are not in the optimiser, and it
runs without a graph. Nobody wants it to learn.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(family="CNN", steps=200, variants={"channels": (24, 48)})
GOAL = 0.85
HIGHER_IS_BETTER = True


class Backbone(nn.Sequential):
    """Convolutions whose weights are random here, and the same on every call."""

    def __init__(self, channels: int) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            super().__init__(
                nn.Conv2d(1, channels, 3, padding=1),
                nn.ReLU(),
                nn.MaxPool2d(2),
                nn.Conv2d(channels, channels, 3, padding=1),
                nn.ReLU(),
                nn.Flatten(),
            )


class Transfer(nn.Module):
    """A backbone that rests and a head that learns."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.backbone = Backbone(channels)
        for parameter in self.backbone.parameters():
            parameter.requires_grad = False
        self.norm = nn.BatchNorm1d(16 * channels)
        self.head = nn.Linear(16 * channels, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Map images of 8 x 8 to 10 scores."""
        with torch.no_grad():
            features = self.backbone(x)
        scores: Tensor = self.head(self.norm(features))
        return scores


def model(channels: int = 32) -> nn.Module:
    """Build the network."""
    return Transfer(channels)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(1, 8, 8), size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Step what learns."""
    return torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=2e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits(1, 8, 8))
