"""A sigmoid at the end, and a loss that says "with logits" and applies a second one.

What leaves the network lies between 0 and 1, which the loss takes for logits: it never
sees a probability below 0.5 or above 0.73. A negative can never be called one.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.data import in_batches, spirals
from unvanish.zoo.patient import Patient

PATIENT = Patient(
    family="MLP",
    codes=("UV204",),
    cause=Cause.LOSS_SATURATION,
    also=("UV203",),
    cure="no sigmoid in the network",
    steps=400,
    variants={"width": (32, 96)},
)
GOAL = 0.2
HIGHER_IS_BETTER = False

criterion = nn.BCEWithLogitsLoss()


def layers(width: int) -> list[nn.Module]:
    """Return the layers up to the logit."""
    return [
        nn.Linear(2, width), nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1)
    ]  # fmt: skip


def model(width: int = 64) -> nn.Module:
    """Build the network."""
    return nn.Sequential(*layers(width), nn.Sigmoid())


def cured(width: int = 64) -> nn.Module:
    """Build it without the sigmoid."""
    return nn.Sequential(*layers(width))


def two_spirals(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return points of the plane, stretched a little, and on which of two arms they lie."""
    points, labels = spirals(count, seed, arms=2)
    return 2 * points, labels.float()[:, None]


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over 1000 points."""
    return in_batches(*two_spirals(1000, 0), size=50, seed=seed)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Return the binary cross-entropy."""
    value: Tensor = criterion(output, target)
    return value


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=5e-3)


@torch.no_grad()
def metric(model: nn.Module) -> float:
    """Return the loss on 500 other points."""
    points, labels = two_spirals(500, 1)
    return float(loss(model(points), labels))
