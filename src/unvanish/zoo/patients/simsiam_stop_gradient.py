"""SimSiam on digits: two views, one encoder, a predictor, and a ``detach`` that keeps it alive.

One branch of the loss is cut off on purpose. Without the cut everything would collapse to a point;
all weights still get their gradient through the other branch.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from unvanish.zoo.patient import Patient
from unvanish.zoo.sequences import agreement_across_views, two_views

PATIENT = Patient(
    family="contrastive learning",
    steps=400,
    variants={"width": (64, 256)},
    source="Chen and He (2021)",
)
GOAL = 0.45
HIGHER_IS_BETTER = True


class SimSiam(nn.Module):
    """Encoder with projector, and predictor."""

    def __init__(self, width: int, features: int = 64) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(64, width, bias=False), nn.BatchNorm1d(width), nn.ReLU(inplace=True),
            nn.Linear(width, width, bias=False), nn.BatchNorm1d(width), nn.ReLU(inplace=True),
            nn.Linear(width, features, bias=False), nn.BatchNorm1d(features, affine=False),
        )  # fmt: skip
        self.predictor = nn.Sequential(
            nn.Linear(features, features // 4, bias=False),
            nn.BatchNorm1d(features // 4),
            nn.ReLU(inplace=True),
            nn.Linear(features // 4, features),
        )

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return both predictions and both targets."""
        z1, z2 = self.encoder(first), self.encoder(second)
        return self.predictor(z1), self.predictor(z2), z1.detach(), z2.detach()


def model(width: int = 128) -> nn.Module:
    """Build the network."""
    return SimSiam(width)


def data(seed: int = 0) -> Iterator[dict[str, Tensor]]:
    """Yield one pass over digits in two views each."""
    return two_views(seed)


def loss(output: tuple[Tensor, Tensor, Tensor, Tensor], _target: None) -> Tensor:
    """Return the negative cosine of each prediction with the other view's target."""
    p1, p2, z1, z2 = output
    return -(cosine_similarity(p1, z2).mean() + cosine_similarity(p2, z1).mean()) / 2


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with momentum."""
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)


@torch.no_grad()
def metric(model: nn.Module) -> float:
    """Return how often the most similar view of another image is of the same digit."""
    return agreement_across_views(model.encoder)
