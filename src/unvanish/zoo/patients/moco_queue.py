"""Momentum contrast: a slow copy of the encoder makes the keys, and a queue keeps old ones.

The copy gets no gradient and is in no optimiser; it follows the encoder by a moving average inside
``forward``. The queue starts out random and is overwritten as training goes on.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.zoo.patient import Patient
from unvanish.zoo.sequences import agreement_across_views, two_views

PATIENT = Patient(
    family="contrastive learning",
    steps=350,
    variants={"queue": (256, 1024)},
    source="He and others (2020)",
)
GOAL = 0.42
HIGHER_IS_BETTER = True


class MoCo(nn.Module):
    """Query encoder, key encoder, queue."""

    queue: Tensor
    pointer: Tensor

    def __init__(self, queue: int, dim: int = 32, m: float = 0.99, t: float = 0.2) -> None:
        super().__init__()
        self.m = m
        self.t = t
        self.encoder_q = nn.Sequential(
            nn.Linear(64, 128), nn.LayerNorm(128), nn.ReLU(),
            nn.Linear(128, 128), nn.LayerNorm(128), nn.ReLU(),
            nn.Linear(128, dim),
        )  # fmt: skip
        self.encoder_k = copy.deepcopy(self.encoder_q).requires_grad_(False)
        self.register_buffer("queue", F.normalize(torch.randn(dim, queue), dim=0))
        self.register_buffer("pointer", torch.zeros(1, dtype=torch.long))

    @torch.no_grad()
    def _momentum_update(self) -> None:
        for q, k in zip(self.encoder_q.parameters(), self.encoder_k.parameters(), strict=True):
            k.mul_(self.m).add_(q, alpha=1 - self.m)

    @torch.no_grad()
    def _enqueue(self, keys: Tensor) -> None:
        start = int(self.pointer)
        self.queue[:, start : start + len(keys)] = keys.T
        self.pointer[0] = (start + len(keys)) % self.queue.shape[1]

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Return scores whose first column belongs to the right key."""
        q = F.normalize(self.encoder_q(first), dim=1)
        with torch.no_grad():
            if self.training:
                self._momentum_update()
            k = F.normalize(self.encoder_k(second), dim=1)
        right = (q * k).sum(dim=1, keepdim=True)
        wrong = q @ self.queue.clone().detach()
        if self.training:
            self._enqueue(k)
        return torch.cat([right, wrong], dim=1) / self.t


def model(queue: int = 512) -> nn.Module:
    """Build the network."""
    return MoCo(queue)


def data(seed: int = 0) -> Iterator[dict[str, Tensor]]:
    """Yield one pass over digits in two views each."""
    return two_views(seed)


def loss(output: Tensor, _target: None) -> Tensor:
    """Find the right key in the first column."""
    first = torch.zeros(len(output), dtype=torch.long, device=output.device)
    return F.cross_entropy(output, first)


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train the query encoder."""
    return torch.optim.Adam(model.encoder_q.parameters(), lr=1e-3)


@torch.no_grad()
def metric(model: nn.Module) -> float:
    """Return how often the most similar view of another image is of the same digit."""
    return agreement_across_views(model.encoder_q)
