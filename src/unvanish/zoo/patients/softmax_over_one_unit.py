"""A yes-or-no classifier with one output unit and a softmax over it.

Softmax makes its outputs add up to one. With a single output that is always one, whatever
the network says, and its derivative is exactly zero.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient

PATIENT = Patient(
    family="MLP",
    codes=("UV204",),
    cause=Cause.LOSS_SATURATION,
    also=("UV101", "UV203", "UV205", "UV501", "UV502"),
    cure="a sigmoid in place of the softmax",
    steps=200,
    variants={"width": (16, 64)},
)
GOAL = 0.85
HIGHER_IS_BETTER = True


class EvenOrOdd(nn.Module):
    """Tells whether a digit is odd."""

    def __init__(self, width: int, *, softmax: bool) -> None:
        super().__init__()
        self.fc1 = nn.Linear(64, width)
        self.fc2 = nn.Linear(width, 1)
        self.softmax = softmax

    def forward(self, x: Tensor) -> Tensor:
        """Return a probability."""
        x = self.fc2(F.relu(self.fc1(x)))
        return F.softmax(x, dim=-1) if self.softmax else torch.sigmoid(x)


def model(width: int = 32) -> nn.Module:
    """Build the network."""
    return EvenOrOdd(width, softmax=True)


def cured(width: int = 32) -> nn.Module:
    """Build it with a sigmoid."""
    return EvenOrOdd(width, softmax=False)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images and whether they are odd."""
    images, labels = training_digits()
    return in_batches(images, (labels % 2).float()[:, None], size=64, seed=seed)


loss = nn.MSELoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=3e-3)


@torch.no_grad()
def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    images, labels = held_out_digits()
    guess = model(images)[:, 0] > 0.5
    return float((guess == (labels % 2 == 1)).float().mean())
