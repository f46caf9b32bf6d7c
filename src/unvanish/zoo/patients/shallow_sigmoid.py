"""Two sigmoid layers, as in the networks of the nineties.

Each passes a quarter of the gradient on. Two quarters are a sixteenth, which any
optimiser can live with: it is the depth that makes sigmoids sick.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(family="MLP", steps=300, variants={"width": (48, 128)})
GOAL = 0.85
HIGHER_IS_BETTER = True


class Net(nn.Module):
    """64 pixels, two hidden layers, 10 scores."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden1 = nn.Linear(64, width)
        self.hidden2 = nn.Linear(width, width)
        self.output = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Map 64 pixels to 10 scores."""
        x = self.hidden1(x).sigmoid()
        x = self.hidden2(x).sigmoid()
        scores: Tensor = self.output(x)
        return scores


def model(width: int = 64) -> nn.Module:
    """Build the network."""
    return Net(width)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(), size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=5e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits())
