"""A convolutional network under bfloat16 autocast, without a GradScaler.

Three decimal digits are few, and the range is that of float32, so that no gradient is
rounded to zero.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(family="CNN", steps=150, variants={"channels": (8, 20)})
GOAL = 0.85
HIGHER_IS_BETTER = True
AUTOCAST = "bfloat16"


class ConvNet(nn.Module):
    """Three convolutions with group normalisation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        sizes = [(1, channels), (channels, channels), (channels, 2 * channels)]
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in sizes)
        self.norms = nn.ModuleList(nn.GroupNorm(4, b) for _, b in sizes)
        self.head = nn.Linear(8 * channels, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Map images of 8 x 8 to 10 scores."""
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = nn.functional.gelu(norm(conv(x)))
        scores: Tensor = self.head(nn.functional.adaptive_avg_pool2d(x, 2).flatten(1))
        return scores


def model(channels: int = 12) -> nn.Module:
    """Build the network."""
    return ConvNet(channels)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(1, 8, 8), size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use AdamW."""
    return torch.optim.AdamW(model.parameters(), lr=5e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits(1, 8, 8))
