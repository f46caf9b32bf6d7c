"""Thirty sigmoid layers on handwritten digits: the textbook vanishing gradient.

Nothing is wrong with the training code. Each sigmoid passes at most a quarter of the
gradient on, and the default initialisation takes another part, so that thirty layers
further down nothing arrives.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from unvanish.core.errors import import_optional

GOAL = 0.9
HIGHER_IS_BETTER = True

LAYERS = 30
WIDTH = 64
BATCH = 128
HELD_OUT = 360


class Net(nn.Module):
    """A deep stack of fully connected layers with sigmoids."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for _ in range(LAYERS):
            self.layers.append(nn.Linear(WIDTH, WIDTH))
            self.layers.append(nn.Sigmoid())
        self.head = nn.Linear(WIDTH, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map 64 pixels to 10 class scores."""
        for layer in self.layers:
            x = layer(x)
        out: torch.Tensor = self.head(x)
        return out


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """Return 1797 images of 64 pixels between 0 and 1, and their labels, shuffled once."""
    datasets: Any = import_optional("sklearn.datasets", extra="demo", purpose="the digits data")
    images, labels = datasets.load_digits(return_X_y=True)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    return (torch.from_numpy(images).float() / 16)[order], torch.from_numpy(labels).long()[order]


def model() -> nn.Module:
    """Build the network."""
    return Net()


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
