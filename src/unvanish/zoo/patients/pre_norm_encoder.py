"""A pre-norm transformer encoder that reads digits row by row.

Queries and keys get a gradient several times smaller than the values, as they do wherever the
attention starts out uniform, and the skip connections carry the rest past them. This is what a
healthy transformer looks like.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(
    family="transformer",
    steps=200,
    variants={"layers": (2, 12), "d_model": (32, 96)},
    source="Xiong and others (2020)",
)
GOAL = 0.85
HIGHER_IS_BETTER = True


class Encoder(nn.Module):
    """``nn.TransformerEncoder`` with ``norm_first``, on eight rows of eight pixels."""

    def __init__(self, layers: int, d_model: int) -> None:
        super().__init__()
        self.project = nn.Linear(8, d_model)
        self.position = nn.Embedding(8, d_model)
        layer = nn.TransformerEncoderLayer(
            d_model,
            nhead=4,
            dim_feedforward=2 * d_model,
            dropout=0.1,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.encoder = nn.TransformerEncoder(
            layer, layers, norm=nn.LayerNorm(d_model), enable_nested_tensor=False
        )
        self.head = nn.Linear(d_model, 10)

    def forward(self, rows: Tensor) -> Tensor:
        """Map ``(batch, 8, 8)`` to class scores."""
        x = self.project(rows) + self.position(torch.arange(8, device=rows.device))
        scores: Tensor = self.head(self.encoder(x).mean(dim=1))
        return scores


def model(layers: int = 4, d_model: int = 64) -> nn.Module:
    """Build the network."""
    return Encoder(layers, d_model)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training digits."""
    return in_batches(*training_digits(8, 8), size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with AdamW."""
    return torch.optim.AdamW(model.parameters(), lr=1e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on digits the training never sees."""
    return accuracy(model, *held_out_digits(8, 8))
