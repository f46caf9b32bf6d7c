"""A contrastive network whose encoder maps all images to one direction.

Forty plain ReLU layers under He initialisation keep the size of every image and turn all of them
into nearly the same vector. The loss compares cosines, all of which are 0.99: it sits at the log of
the batch size, and nothing says which pair to pull together. The size of the gradient is as it
should be.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.patient import Patient
from unvanish.zoo.sequences import agreement_across_views, two_views

PATIENT = Patient(
    family="contrastive learning",
    codes=("UV103",),
    cause=Cause.DEPTH_WITHOUT_SKIP,
    also=("UV101", "UV102", "UV202", "UV502"),
    cure="residual blocks with normalisation",
    steps=200,
    variants={"depth": (60,), "width": (64, 128)},
    source="Schoenholz and others (2017); Jing and others (2022) on collapse",
)
GOAL = 0.45
HIGHER_IS_BETTER = True

TEMPERATURE = 0.2


class PlainBlock(nn.Module):
    """Linear and ReLU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)
        nn.init.kaiming_normal_(self.linear.weight, nonlinearity="relu")
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Transform."""
        return torch.relu(self.linear(x))


class ResidualBlock(PlainBlock):
    """The same beside a skip connection, behind a norm."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Add the transformation."""
        return x + super().forward(self.norm(x))


class SiameseEncoder(nn.Module):
    """One encoder, used on both views."""

    def __init__(self, depth: int, width: int, block: type[PlainBlock]) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(64, width), *(block(width) for _ in range(depth)), nn.Linear(width, 32)
        )

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Return both views as directions."""
        return (
            F.normalize(self.encoder(first), dim=1),
            F.normalize(self.encoder(second), dim=1),
        )


def model(depth: int = 40, width: int = 96) -> nn.Module:
    """Build the network from plain blocks."""
    return SiameseEncoder(depth, width, PlainBlock)


def cured(depth: int = 40, width: int = 96) -> nn.Module:
    """Build the network from residual blocks."""
    return SiameseEncoder(depth, width, ResidualBlock)


def data(seed: int = 0) -> Iterator[dict[str, Tensor]]:
    """Yield one pass over digits in two views each."""
    return two_views(seed)


def loss(output: tuple[Tensor, Tensor], _target: None) -> Tensor:
    """Find each image's other view among those of the batch (InfoNCE)."""
    first, second = output
    similar = first @ second.T / TEMPERATURE
    return F.cross_entropy(similar, torch.arange(len(similar), device=similar.device))


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam."""
    return torch.optim.Adam(model.parameters(), lr=1e-3)


@torch.no_grad()
def metric(model: nn.Module) -> float:
    """Return how often the most similar view of another image is of the same digit."""
    return agreement_across_views(model.encoder)
