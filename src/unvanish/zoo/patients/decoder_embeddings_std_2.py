"""A small GPT whose embeddings were initialised with 2.0 where 0.02 was meant.

The output layer is the same matrix (weight tying), so the first scores are a hundred times too
large: the network is certain of a wrong letter and pays for it at every step. Inside, the
embeddings drown what the blocks add to them.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.patient import Patient
from unvanish.zoo.sequences import ALPHABET, HELD_OUT, character_text

PATIENT = Patient(
    family="transformer",
    codes=("UV203",),
    cause=Cause.INIT_TOO_LARGE,
    also=("UV101", "UV102", "UV302", "UV404", "UV405", "UV502"),
    cure="embeddings with a standard deviation of 0.02",
    steps=250,
    variants={"width": (96,), "layers": (1, 4)},
)
GOAL = 1.2
HIGHER_IS_BETTER = False

CONTEXT = 32


class Block(nn.Module):
    """Causal attention and a two-layer network, each beside a skip connection."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.ln_1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Add what attention and network have to say."""
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in self.qkv(self.ln_1(x)).chunk(3, dim=-1)
        )
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(mixed.transpose(1, 2).flatten(2))
        x = x + self.mlp(self.ln_2(x))
        return x


class GPT(nn.Module):
    """A decoder-only language model with tied embeddings."""

    def __init__(self, layers: int, width: int, embedding_std: float) -> None:
        super().__init__()
        self.wte = nn.Embedding(len(ALPHABET), width)
        self.wpe = nn.Embedding(CONTEXT, width)
        self.blocks = nn.Sequential(*(Block(width, heads=4) for _ in range(layers)))
        self.ln_f = nn.LayerNorm(width)
        self.lm_head = nn.Linear(width, len(ALPHABET), bias=False)
        nn.init.normal_(self.wte.weight, std=embedding_std)
        nn.init.normal_(self.wpe.weight, std=embedding_std)
        self.lm_head.weight = self.wte.weight

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the scores of every next letter."""
        places = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.blocks(self.wte(tokens) + self.wpe(places))
        scores: Tensor = self.lm_head(self.ln_f(x))
        return scores


def model(layers: int = 2, width: int = 64) -> nn.Module:
    """Build the network."""
    return GPT(layers, width, embedding_std=2.0)


def cured(layers: int = 2, width: int = 64) -> nn.Module:
    """Build the network as it was meant."""
    return GPT(layers, width, embedding_std=0.02)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield windows of the text, and the letters that follow."""
    return character_text(seed, length=CONTEXT)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy of a letter, in nats."""
    return F.cross_entropy(output.flatten(0, 1), target.flatten())


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with AdamW."""
    return torch.optim.AdamW(model.parameters(), lr=1e-3)


@torch.no_grad()
def metric(model: nn.Module) -> float:
    """Return the loss on further windows of the same text."""
    tokens, following = next(character_text(HELD_OUT, length=CONTEXT, size=128))
    return float(loss(model(tokens), following))
