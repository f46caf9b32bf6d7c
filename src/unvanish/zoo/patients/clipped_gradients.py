"""A network whose gradients are clipped to a norm of 0.1, and whose rate makes up for it.

Nearly every step is clipped, so that all steps have the same length. It is a way of
training, not a fault.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.data import friedman, in_batches
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import unexplained

PATIENT = Patient(family="MLP", steps=400, variants={"width": (48, 96)})
GOAL = 0.3
HIGHER_IS_BETTER = False
CLIP_GRAD_NORM = 0.1


def model(width: int = 64) -> nn.Module:
    """Build the network."""
    return nn.Sequential(
        nn.Linear(10, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1)
    )


def standardised(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return inputs and targets of mean 0 and standard deviation 1."""
    x, y = friedman(count, seed)
    return (x - 0.5) * 12**0.5, (y - 14.4) / 4.9


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over 2000 samples."""
    return in_batches(*standardised(2000, 0), size=100, seed=seed)


loss = nn.HuberLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with plain momentum."""
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def metric(model: nn.Module) -> float:
    """Return the share of variance left unexplained on 500 other samples."""
    return unexplained(model, *standardised(500, 1))
