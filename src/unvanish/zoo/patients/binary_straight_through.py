"""Binary weights and activations, trained with straight-through estimators.

The derivative of the sign is zero; what is used in its place passes the gradient on
where the input is small and nothing where it is large. A unit beyond that is not dead:
its input comes back into range when the weights below move.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(
    family="binary network",
    steps=300,
    variants={"width": (64, 128)},
    source="Hubara, Courbariaux, Soudry, El-Yaniv and Bengio (2016)",
)
GOAL = 0.85
HIGHER_IS_BETTER = True


def binarise(x: Tensor) -> Tensor:
    """Return -1 or 1, with the gradient of hardtanh."""
    soft = F.hardtanh(x)
    return soft + (torch.where(x >= 0, 1.0, -1.0) - soft).detach()


class BinaryLinear(nn.Linear):
    """Uses the signs of its weights."""

    def forward(self, input: Tensor) -> Tensor:
        """Apply them."""
        output: Tensor = F.linear(input, binarise(self.weight)) / self.in_features**0.5
        return output


class Net(nn.Module):
    """Two binary layers between real ones."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(64, width)
        self.norm1 = nn.BatchNorm1d(width)
        self.second = BinaryLinear(width, width, bias=False)
        self.norm2 = nn.BatchNorm1d(width)
        self.third = BinaryLinear(width, width, bias=False)
        self.norm3 = nn.BatchNorm1d(width)
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Map 64 pixels to 10 scores."""
        x = binarise(self.norm1(self.first(x)))
        x = binarise(self.norm2(self.second(x)))
        scores: Tensor = self.head(self.norm3(self.third(x)))
        return scores


def model(width: int = 96) -> nn.Module:
    """Build the network."""
    return Net(width)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(), size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=3e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits())
