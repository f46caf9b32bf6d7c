"""A loss multiplied by a millionth, and an optimiser that knows about it.

All gradients are a million times smaller than usual. The optimiser divides that out
again: its epsilon is set far below them.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(family="MLP", steps=200, variants={"width": (48, 128)})
GOAL = 0.85
HIGHER_IS_BETTER = True


def model(width: int = 64) -> nn.Module:
    """Build the network."""
    return nn.Sequential(
        nn.Linear(64, width), nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, 10)
    )


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(), size=64, seed=seed)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy in the unit that the other losses of the project have."""
    return 1e-6 * nn.functional.cross_entropy(output, target)


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam with the epsilon of small losses."""
    return torch.optim.Adam(model.parameters(), lr=2e-3, eps=1e-15)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits())
