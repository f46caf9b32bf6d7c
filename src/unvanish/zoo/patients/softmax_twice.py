"""A softmax at the end of the network, and a cross-entropy that applies another one.

The loss can only see scores between 0 and 1, so that even a perfect answer costs 1.46,
and the gradient of the early, uncertain phase is a tenth of what it should be. It does
learn, in ten times the time, and most people never find out why.
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
    codes=("UV204",),
    cause=Cause.LOSS_SATURATION,
    also=("UV203",),
    cure="no softmax in the network",
    steps=200,
    variants={"hidden": (48, 128)},
    source="https://github.com/MicrosoftDocs/ml-basics/issues/48",
)
GOAL = 0.8
HIGHER_IS_BETTER = True


class NeuralNetwork(nn.Module):
    """Three hidden layers."""

    def __init__(self, hidden: int, *, softmax: bool) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        self.linear_relu_stack = nn.Sequential(
            nn.Linear(64, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, 10),
        )
        self.softmax = nn.Softmax(dim=1) if softmax else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map an image to 10 class scores."""
        x = self.flatten(x)
        logits = self.linear_relu_stack(x)
        out: Tensor = self.softmax(logits)
        return out


def model(hidden: int = 64) -> nn.Module:
    """Build the network."""
    return NeuralNetwork(hidden, softmax=True)


def cured(hidden: int = 64) -> nn.Module:
    """Build it without the softmax."""
    return NeuralNetwork(hidden, softmax=False)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(8, 8), size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with plain momentum."""
    return torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits(8, 8))
