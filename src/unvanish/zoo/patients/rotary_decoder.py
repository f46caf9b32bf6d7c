"""A decoder in the manner of LLaMA: rotary positions, RMS norms, gated feed-forward, no biases.

Queries and keys are turned by an angle that grows with their place. A rotation has no slope that
could vanish.
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
    variants={"layers": (1, 6), "dim": (32, 96)},
    source="Su and others (2021); Touvron and others (2023)",
)
GOAL = 1.2
HIGHER_IS_BETTER = False

CONTEXT = 32


def rotate(x: Tensor) -> Tensor:
    """Turn pairs of features of ``(batch, heads, places, features)`` by their place."""
    half = x.shape[-1] // 2
    speed = 100.0 ** (-torch.arange(half, device=x.device) / half)
    angle = torch.arange(x.shape[-2], device=x.device)[:, None] * speed
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()], -1)


class Layer(nn.Module):
    """Rotary attention and a SwiGLU network."""

    def __init__(self, dim: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.RMSNorm(dim)
        self.wq = nn.Linear(dim, dim, bias=False)
        self.wk = nn.Linear(dim, dim, bias=False)
        self.wv = nn.Linear(dim, dim, bias=False)
        self.wo = nn.Linear(dim, dim, bias=False)
        self.ffn_norm = nn.RMSNorm(dim)
        self.w1 = nn.Linear(dim, 2 * dim, bias=False)
        self.w2 = nn.Linear(2 * dim, dim, bias=False)
        self.w3 = nn.Linear(dim, 2 * dim, bias=False)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Add both branches."""
        y = self.attention_norm(x)
        q, k, v = self._split(self.wq(y)), self._split(self.wk(y)), self._split(self.wv(y))
        mixed = F.scaled_dot_product_attention(rotate(q), rotate(k), v, is_causal=True)
        x = x + self.wo(mixed.transpose(1, 2).flatten(2))
        y = self.ffn_norm(x)
        return x + self.w2(F.silu(self.w1(y)) * self.w3(y))


class Llama(nn.Module):
    """The language model."""

    def __init__(self, layers: int, dim: int) -> None:
        super().__init__()
        self.tok_embeddings = nn.Embedding(len(ALPHABET), dim)
        self.layers = nn.ModuleList(Layer(dim) for _ in range(layers))
        self.norm = nn.RMSNorm(dim)
        self.output = nn.Linear(dim, len(ALPHABET), bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the scores of every next letter."""
        h = self.tok_embeddings(tokens)
        for layer in self.layers:
            h = layer(h)
        scores: Tensor = self.output(self.norm(h))
        return scores


def model(layers: int = 2, dim: int = 64) -> nn.Module:
    """Build the network."""
    return Llama(layers, dim)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield windows of 32 letters, and the letters that follow."""
    return character_text(seed, length=CONTEXT)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy of a letter, in nats."""
    return F.cross_entropy(output.flatten(0, 1), target.flatten())


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with AdamW."""
    return torch.optim.AdamW(model.parameters(), lr=2e-3)


@torch.no_grad()
def metric(model: nn.Module) -> float:
    """Return the loss on further windows of the same text; letters alone have 2.8."""
    letters, following = next(character_text(HELD_OUT, length=CONTEXT, size=128))
    return float(loss(model(letters), following))
