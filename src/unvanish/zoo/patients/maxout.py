"""A maxout network: each unit is the largest of four linear ones.

In every unit three of the four get no gradient from a sample. They get theirs from
others.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(
    family="MLP",
    steps=200,
    variants={"pieces": (2, 6), "units": (24, 64)},
    source="Goodfellow, Warde-Farley, Mirza, Courville and Bengio (2013)",
)
GOAL = 0.85
HIGHER_IS_BETTER = True


class Maxout(nn.Module):
    """The largest of several linear maps."""

    def __init__(self, inside: int, units: int, pieces: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inside, units * pieces)
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        """Return the largest piece of each unit."""
        pieces: Tensor = self.linear(x)
        largest: Tensor = pieces.unflatten(-1, (-1, self.pieces)).amax(dim=-1)
        return largest


def model(pieces: int = 4, units: int = 40) -> nn.Module:
    """Build the network."""
    return nn.Sequential(
        Maxout(64, units, pieces),
        nn.Dropout(0.2),
        Maxout(units, units, pieces),
        nn.Dropout(0.2),
        nn.Linear(units, 10),
    )


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(), size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with plain momentum."""
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits())
