"""Six attention layers in a row, without skip connections.

Attention averages. Without a way around it every layer brings the tokens of a sequence closer
together, and after a few layers they are one and the same vector: no output position knows any
more which one it is. Layer normalisation keeps the size of that vector and helps nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.patient import Patient
from unvanish.zoo.sequences import HELD_OUT, copy_task

PATIENT = Patient(
    family="attention",
    codes=("UV103",),
    cause=Cause.DEPTH_WITHOUT_SKIP,
    also=("UV101", "UV302", "UV502"),
    cure="a skip connection around every layer",
    steps=250,
    variants={"layers": (4, 10), "dim": (32, 96)},
    source="Dong, Cordonnier and Loukas (2021), Attention is not all you need",
)
GOAL = 0.9
HIGHER_IS_BETTER = True

LENGTH = 10


class AttentionStack(nn.Module):
    """Turn a sequence around, all positions at once."""

    def __init__(self, layers: int, dim: int, *, skip: bool) -> None:
        super().__init__()
        self.skip = skip
        self.tokens = nn.Embedding(9, dim)
        self.places = nn.Embedding(LENGTH, dim)
        self.attention = nn.ModuleList(
            nn.MultiheadAttention(dim, num_heads=4, batch_first=True) for _ in range(layers)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(layers))
        self.head = nn.Linear(dim, 9)

    def forward(self, source: Tensor) -> Tensor:
        """Return scores of shape ``(batch, symbols, position)``."""
        x = self.tokens(source) + self.places(torch.arange(LENGTH, device=source.device))
        for attention, norm in zip(self.attention, self.norms, strict=True):
            mixed, _ = attention(x, x, x, need_weights=False)
            x = norm(x + mixed if self.skip else mixed)
        scores: Tensor = self.head(x)
        return scores.transpose(1, 2)


def model(layers: int = 6, dim: int = 64) -> nn.Module:
    """Build the network."""
    return AttentionStack(layers, dim, skip=False)


def cured(layers: int = 6, dim: int = 64) -> nn.Module:
    """Build the network with skip connections."""
    return AttentionStack(layers, dim, skip=True)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield sequences, and the same sequences backwards."""
    for (source, _), backwards in copy_task(seed, length=LENGTH):
        yield source, backwards


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Compare the symbols at every position."""
    return nn.functional.cross_entropy(output, target)


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam."""
    return torch.optim.Adam(model.parameters(), lr=1e-3)


@torch.no_grad()
def metric(model: nn.Module) -> float:
    """Return the share of right symbols in 256 new sequences; a guess has 1/8."""
    (source, _), backwards = next(copy_task(HELD_OUT, length=LENGTH, size=256))
    return float((model(source).argmax(dim=1) == backwards).float().mean())
