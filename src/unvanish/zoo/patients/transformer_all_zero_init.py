"""A transformer encoder in which an init loop set everything to zero.

``for p in parameters()`` is the usual loop for a custom initialisation; here it fills in zeros,
scales of the norms included. All tokens look the same, every product has a zero on both sides,
and no gradient gets past the output layer, whose own inputs are zero as well: only its bias
learns.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy
from unvanish.zoo.sequences import HELD_OUT, first_token_recall

PATIENT = Patient(
    family="transformer",
    codes=("UV104",),
    cause=Cause.ZERO_INIT,
    also=("UV101", "UV103", "UV202", "UV302", "UV501", "UV502"),
    cure="Xavier initialisation in the same loop",
    steps=120,
    variants={"layers": (1, 4), "d_model": (16, 64)},
)
GOAL = 0.9
HIGHER_IS_BETTER = True

LENGTH = 12


class Encoder(nn.Module):
    """Token and position embeddings, an ``nn.TransformerEncoder``, a classifier on the mean."""

    def __init__(self, layers: int, d_model: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(8, d_model)
        self.positions = nn.Embedding(LENGTH, d_model)
        layer = nn.TransformerEncoderLayer(
            d_model, nhead=4, dim_feedforward=4 * d_model, dropout=0.1, batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.classify = nn.Linear(d_model, 4)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return class scores."""
        where = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.encoder(self.tokens(tokens) + self.positions(where))
        out: Tensor = self.classify(x.mean(dim=1))
        return out


def model(layers: int = 2, d_model: int = 32) -> nn.Module:
    """Build the network."""
    net = Encoder(layers, d_model)
    for p in net.parameters():
        nn.init.zeros_(p)
    return net


def cured(layers: int = 2, d_model: int = 32) -> nn.Module:
    """Build the network with random matrices."""
    net = Encoder(layers, d_model)
    for p in net.parameters():
        if p.dim() > 1:
            nn.init.xavier_uniform_(p)
    return net


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield short token sequences; the label is the first token."""
    return first_token_recall(seed, length=LENGTH, size=64)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Compare scores with the first token."""
    return nn.functional.cross_entropy(output, target)


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam."""
    return torch.optim.Adam(model.parameters(), lr=1e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on new sequences; chance is a quarter."""
    return accuracy(model, *next(first_token_recall(HELD_OUT, length=LENGTH, size=256)))
