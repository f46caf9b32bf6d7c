"""A causal transformer without position embeddings: attention is biased against distance.

Steep heads look at the last few letters only and give far ones weights below 1e-10. That is a
softmax near its end by design, beside other heads that look far.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.zoo.patient import Patient
from unvanish.zoo.sequences import ALPHABET, HELD_OUT, character_text

PATIENT = Patient(
    family="transformer",
    steps=200,
    variants={"depth": (1, 4), "dim": (32, 96)},
    source="Press, Smith and Lewis (2022)",
)
GOAL = 1.2
HIGHER_IS_BETTER = False

CONTEXT = 40


class AlibiLayer(nn.Module):
    """Pre-norm attention with a linear penalty on distance, and a feed-forward network."""

    slopes: Tensor

    def __init__(self, dim: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.register_buffer("slopes", 0.25 ** torch.arange(heads))
        self.norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.mlp = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, places, dim)`` to the same shape."""
        q, k, v = torch.einsum(
            "btkhd->kbhtd", self.qkv(self.norm(x)).unflatten(-1, (3, self.heads, -1))
        )
        place = torch.arange(x.shape[1], device=x.device)
        behind = place[:, None] - place
        bias = -self.slopes[:, None, None] * behind
        scores = torch.einsum("bhqd,bhkd->bhqk", q, k) / q.shape[-1] ** 0.5 + bias
        scores = scores.masked_fill(behind < 0, float("-inf"))
        mixed = torch.einsum("bhqk,bhkd->bqhd", scores.softmax(dim=-1), v)
        x = x + self.proj(mixed.flatten(2))
        return x + self.mlp(x)


def model(depth: int = 2, dim: int = 64) -> nn.Module:
    """Build the network."""
    letters = len(ALPHABET)
    return nn.Sequential(
        nn.Embedding(letters, dim),
        *(AlibiLayer(dim) for _ in range(depth)),
        nn.LayerNorm(dim),
        nn.Linear(dim, letters),
    )


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield windows of 40 letters, and the letters that follow."""
    return character_text(seed, length=CONTEXT)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy of a letter, in nats."""
    return F.cross_entropy(output.flatten(0, 1), target.flatten())


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam."""
    return torch.optim.Adam(model.parameters(), lr=2e-3)


@torch.no_grad()
def metric(model: nn.Module) -> float:
    """Return the loss on further windows of the same text; letters alone have 2.8."""
    letters, following = next(character_text(HELD_OUT, length=CONTEXT, size=128))
    return float(loss(model(letters), following))
