"""A small decoder that multiplies its embeddings by d_model in place of its square root.

"Attention is all you need" scales embeddings by sqrt(d_model). Without the root they enter the
first attention eight times too large, which makes its scores 64 times too large, and nearly every
letter looks at one other letter, chosen by the random start, with a weight of 1. Queries and keys
get no gradient from there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.patient import Patient
from unvanish.zoo.sequences import ALPHABET, HELD_OUT, character_text

PATIENT = Patient(
    family="transformer",
    codes=("UV302",),
    cause=Cause.SOFTMAX_SATURATION,
    also=("UV101", "UV102", "UV404", "UV405", "UV502"),
    cure="embeddings times the square root of d_model, as the paper has it",
    steps=300,
    variants={"d_model": (96, 128)},
    source="Vaswani and others (2017), section 3.4",
)
GOAL = 0.5
HIGHER_IS_BETTER = False

CONTEXT = 32


class DecoderLayer(nn.Module):
    """Causal attention and a feed-forward network, with the norm after each addition."""

    def __init__(self, d_model: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_qkv = nn.Linear(d_model, 3 * d_model)
        self.project = nn.Linear(d_model, d_model)
        self.norm1 = nn.LayerNorm(d_model)
        self.ff = nn.Sequential(
            nn.Linear(d_model, 4 * d_model), nn.ReLU(), nn.Linear(4 * d_model, d_model)
        )
        self.norm2 = nn.LayerNorm(d_model)

    def attend(self, x: Tensor) -> Tensor:
        """Mix each place with the places before it."""
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in self.to_qkv(x).chunk(3, dim=-1)
        )
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
        future = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1)
        mixed = scores.masked_fill(future, -torch.inf).softmax(dim=-1) @ v
        out: Tensor = self.project(mixed.transpose(1, 2).flatten(2))
        return out

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, places, d_model)`` to the same shape."""
        x = self.norm1(x + self.attend(x))
        out: Tensor = self.norm2(x + self.ff(x))
        return out


class Decoder(nn.Module):
    """Guess the next letter."""

    def __init__(self, d_model: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.embed = nn.Embedding(len(ALPHABET), d_model)
        self.place = nn.Embedding(CONTEXT, d_model)
        self.layer = DecoderLayer(d_model, heads=4)
        self.out = nn.Linear(d_model, len(ALPHABET))
        nn.init.normal_(self.embed.weight, std=d_model**-0.5)
        nn.init.normal_(self.place.weight, std=d_model**-0.5)

    def forward(self, letters: Tensor) -> Tensor:
        """Return the scores of every next letter."""
        places = torch.arange(letters.shape[1], device=letters.device)
        x = (self.embed(letters) + self.place(places)) * self.scale
        scores: Tensor = self.out(self.layer(x))
        return scores


def model(d_model: int = 64) -> nn.Module:
    """Build the network."""
    return Decoder(d_model, scale=d_model)


def cured(d_model: int = 64) -> nn.Module:
    """Build the network with the root."""
    return Decoder(d_model, scale=math.sqrt(d_model))


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield windows of the text, and the letters that follow."""
    return character_text(seed, length=CONTEXT)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy of a letter, in nats."""
    return F.cross_entropy(output.flatten(0, 1), target.flatten())


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam."""
    return torch.optim.Adam(model.parameters(), lr=2e-3, betas=(0.9, 0.98))


@torch.no_grad()
def metric(model: nn.Module) -> float:
    """Return the loss on further windows of the same text."""
    letters, following = next(character_text(HELD_OUT, length=CONTEXT, size=128))
    return float(loss(model(letters), following))
