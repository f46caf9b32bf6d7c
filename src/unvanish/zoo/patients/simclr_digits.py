"""SimCLR on digits: two views of each image have to find each other in the batch.

At the start all cosines are alike and the loss is close to the log of the number of candidates.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.zoo.patient import Patient
from unvanish.zoo.sequences import agreement_across_views, two_views

PATIENT = Patient(
    family="contrastive learning",
    steps=200,
    variants={"width": (64, 256)},
    source="Chen and others (2020), A simple framework for contrastive learning",
)
GOAL = 0.45
HIGHER_IS_BETTER = True

TEMPERATURE = 0.2


class SimCLR(nn.Module):
    """Encoder and projection head."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(64, width), nn.BatchNorm1d(width), nn.ReLU(),
            nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU(),
        )  # fmt: skip
        self.projector = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 32))

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Return all projections, the first views and then the second ones."""
        z = self.projector(self.encoder(torch.cat([first, second])))
        return F.normalize(z, dim=1)


def model(width: int = 128) -> nn.Module:
    """Build the network."""
    return SimCLR(width)


def data(seed: int = 0) -> Iterator[dict[str, Tensor]]:
    """Yield one pass over digits in two views each."""
    return two_views(seed)


def loss(output: Tensor, _target: None) -> Tensor:
    """Return NT-Xent: every view's partner against all other views."""
    count = len(output)
    similar = output @ output.T / TEMPERATURE
    itself = torch.eye(count, dtype=torch.bool, device=output.device)
    similar = similar.masked_fill(itself, float("-inf"))
    partner = torch.arange(count, device=output.device).roll(count // 2)
    return F.cross_entropy(similar, partner)


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam."""
    return torch.optim.Adam(model.parameters(), lr=1e-3)


@torch.no_grad()
def metric(model: nn.Module) -> float:
    """Return how often the most similar view of another image is of the same digit."""
    return agreement_across_views(lambda x: model.projector(model.encoder(x)))
