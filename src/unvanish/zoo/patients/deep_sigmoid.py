"""Thirty sigmoid layers on handwritten digits: the textbook vanishing gradient.

Nothing is wrong with the training code. Each sigmoid passes at most a quarter of the
gradient on, and the default initialisation takes another part, so that thirty layers
further down nothing arrives.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from unvanish.core.findings import Cause
from unvanish.zoo.data import digits
from unvanish.zoo.patient import Patient

PATIENT = Patient(
    family="MLP",
    codes=("UV101",),
    cause=Cause.ACTIVATION_SLOPE,
    also=("UV103", "UV402", "UV502"),
    cure="batch normalisation before every sigmoid, which centres and scales each unit",
    steps=440,
    variants={"layers": (15, 60), "width": (32, 128)},
    source="Hochreiter (1991); Glorot and Bengio (2010)",
)
GOAL = 0.9
HIGHER_IS_BETTER = True

BATCH = 128
HELD_OUT = 360


class Net(nn.Module):
    """A deep stack of fully connected layers with sigmoids."""

    def __init__(self, layers: int, width: int, *, norm: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for i in range(layers):
            self.layers.append(nn.Linear(width if i else 64, width))
            if norm:
                self.layers.append(nn.BatchNorm1d(width))
            self.layers.append(nn.Sigmoid())
        self.head = nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map 64 pixels to 10 class scores."""
        for layer in self.layers:
            x = layer(x)
        out: torch.Tensor = self.head(x)
        return out


def model(layers: int = 30, width: int = 64) -> nn.Module:
    """Build the network."""
    return Net(layers, width, norm=False)


def cured(layers: int = 30, width: int = 64) -> nn.Module:
    """Build the network with batch normalisation."""
    return Net(layers, width, norm=True)


def data(seed: int = 0) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield one pass over the training images in batches of 128."""
    images, labels = digits()
    images, labels = images[:-HELD_OUT], labels[:-HELD_OUT]
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        yield images[rows], labels[rows]


def loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Compare class scores with labels."""
    return nn.functional.cross_entropy(output, target)


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with plain momentum."""
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)


@torch.no_grad()
def metric(model: nn.Module) -> float:
    """Return the accuracy on 360 images the training never sees."""
    images, labels = digits()
    device = next(model.parameters()).device
    guess = model(images[-HELD_OUT:].to(device)).argmax(dim=1).cpu()
    return float((guess == labels[-HELD_OUT:]).float().mean())
