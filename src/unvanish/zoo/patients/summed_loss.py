"""A loss that is summed over the batch instead of averaged, with a rate to match."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(family="CNN", steps=150, variants={"channels": (6, 12)})
GOAL = 0.85
HIGHER_IS_BETTER = True


class Net(nn.Module):
    """Two convolutions, one linear layer."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, channels, 3, 1)
        self.conv2 = nn.Conv2d(channels, 2 * channels, 3, 1)
        self.fc = nn.Linear(8 * channels, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return log-probabilities."""
        x = torch.relu(self.conv1(x))
        x = torch.max_pool2d(torch.relu(self.conv2(x)), 2)
        return torch.log_softmax(self.fc(torch.flatten(x, 1)), dim=1)


def model(channels: int = 8) -> nn.Module:
    """Build the network."""
    return Net(channels)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(1, 8, 8), size=128, seed=seed)


loss = nn.NLLLoss(reduction="sum")


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with plain momentum, the rate divided by the batch size."""
    return torch.optim.SGD(model.parameters(), lr=0.05 / 128, momentum=0.9)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits(1, 8, 8))
