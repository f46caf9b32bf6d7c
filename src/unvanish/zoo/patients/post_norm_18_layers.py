"""Eighteen post-norm transformer layers under Adam with a learning rate of 1e-2.

With the norm after the addition there is no untouched way through the network, and such a
stack takes small steps only, with a warm-up. At 1e-2 the first few updates destroy it: the
gradient of the early layers, fine at the start, is gone after twenty steps. The same layers in
pre-norm order survive that learning rate.
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
    family="transformer",
    codes=("UV404",),
    cause=Cause.LEARNING_RATE,
    also=("UV101", "UV102", "UV103", "UV302", "UV405", "UV403", "UV202"),
    cure="a learning rate of 3e-4",
    steps=150,
    variants={"layers": (24,), "dim": (48,)},
    source="pytorch/pytorch#55270; Xiong and others (2020)",
)
GOAL = 0.6
HIGHER_IS_BETTER = True


class RowTransformer(nn.Module):
    """Read an image of eight rows as a sentence of eight words."""

    def __init__(self, layers: int, dim: int) -> None:
        super().__init__()
        self.embed = nn.Linear(8, dim)
        self.position = nn.Parameter(0.02 * torch.randn(8, dim))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                dim, nhead=4, dim_feedforward=2 * dim, dropout=0.0, batch_first=True
            )
            for _ in range(layers)
        )
        self.head = nn.Linear(dim, 10)

    def forward(self, rows: Tensor) -> Tensor:
        """Map ``(batch, 8, 8)`` to class scores."""
        x = self.embed(rows) + self.position
        for layer in self.layers:
            x = layer(x)
        scores: Tensor = self.head(x.mean(dim=1))
        return scores


def model(layers: int = 18, dim: int = 32) -> nn.Module:
    """Build the network."""
    return RowTransformer(layers, dim)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training digits."""
    return in_batches(*training_digits(8, 8), size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam as for a small network."""
    return torch.optim.Adam(model.parameters(), lr=1e-2)


def cured_optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam as for a deep transformer."""
    return torch.optim.Adam(model.parameters(), lr=3e-4)


def metric(model: nn.Module) -> float:
    """Return the accuracy on digits the training never sees."""
    return accuracy(model, *held_out_digits(8, 8))
