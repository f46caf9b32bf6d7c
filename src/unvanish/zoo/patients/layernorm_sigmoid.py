"""Sixteen blocks of linear layer, LayerNorm and sigmoid: normalised, and still vanishing.

LayerNorm keeps the signal at unit scale, but the sigmoid after it still passes at most a
quarter of the gradient on, and what it gives out is always positive. BatchNorm, which
centres each unit over the samples, would have helped; LayerNorm does not.
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
    codes=("UV101",),
    cause=Cause.ACTIVATION_SLOPE,
    also=("UV103", "UV502"),
    cure="batch normalisation in place of layer normalisation",
    steps=300,
    variants={"blocks": (12, 24), "width": (48, 96)},
)
GOAL = 0.8
HIGHER_IS_BETTER = True


def block(inside: int, outside: int, norm: type[nn.Module]) -> nn.Module:
    """Return one block."""
    return nn.Sequential(nn.Linear(inside, outside), norm(outside), nn.Sigmoid())


def model(blocks: int = 16, width: int = 64) -> nn.Module:
    """Build the network."""
    return nn.Sequential(
        block(64, width, nn.LayerNorm),
        *(block(width, width, nn.LayerNorm) for _ in range(blocks - 1)),
        nn.Linear(width, 10),
    )


def cured(blocks: int = 16, width: int = 64) -> nn.Module:
    """Build it with batch normalisation."""
    return nn.Sequential(
        block(64, width, nn.BatchNorm1d),
        *(block(width, width, nn.BatchNorm1d) for _ in range(blocks - 1)),
        nn.Linear(width, 10),
    )


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(), size=64, seed=seed)


loss = nn.CrossEntropyLoss(label_smoothing=0.1)


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with plain momentum."""
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits())
