"""Images as the camera gives them, 0 to 255, into a network of tanh units.

The first layer's sums are around 50, where tanh is flat, so its units are signs of the
image and their weights get no gradient. Dividing by 255 would have done.
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
    family="MLP",
    codes=("UV503",),
    cause=Cause.INPUT_SCALE,
    also=("UV101", "UV102", "UV201", "UV202", "UV404", "UV405", "UV502"),
    cure="divide the pixels by 255",
    steps=200,
    variants={"width": (11, 16)},
)
GOAL = 0.83
HIGHER_IS_BETTER = True


class Net(nn.Module):
    """Two hidden layers; pixels are whole numbers from 0 to 255."""

    def __init__(self, width: int, divisor: float) -> None:
        super().__init__()
        self.divisor = divisor
        self.fc1 = nn.Linear(64, width)
        self.fc2 = nn.Linear(width, width)
        self.fc3 = nn.Linear(width, 10)

    def forward(self, pixels: Tensor) -> Tensor:
        """Map 64 pixels to 10 scores."""
        x = pixels / self.divisor
        x = torch.tanh(self.fc1(x))
        x = torch.tanh(self.fc2(x))
        scores: Tensor = self.fc3(x)
        return scores


def model(width: int = 12) -> nn.Module:
    """Build the network."""
    return Net(width, divisor=1.0)


def cured(width: int = 12) -> nn.Module:
    """Build it with pixels brought to 0 to 1."""
    return Net(width, divisor=255.0)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    images, labels = training_digits()
    return in_batches((255 * images).round(), labels, size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=5e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    images, labels = held_out_digits()
    return accuracy(model, (255 * images).round(), labels)
