"""The encoder of the original transformer: six layers, norm after the addition.

Post-norm has a bad name, which it earned at eighteen layers and more. At six layers, with a
learning rate of 5e-4, it trains without a warm-up.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.zoo.patient import Patient
from unvanish.zoo.sequences import HELD_OUT, copy_task

PATIENT = Patient(
    family="transformer",
    steps=200,
    variants={"layers": (3,), "width": (32, 96)},
    source="Vaswani and others (2017)",
)
GOAL = 0.9
HIGHER_IS_BETTER = True

LENGTH = 10


class PostNormLayer(nn.Module):
    """``norm(x + attention(x))``, then ``norm(x + ff(x))``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, 4, batch_first=True)
        self.ff = nn.Sequential(nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width))
        self.norm_attention = nn.LayerNorm(width)
        self.norm_ff = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, places, width)`` to the same shape."""
        mixed, _ = self.attention(x, x, x, need_weights=False)
        x = self.norm_attention(x + mixed)
        out: Tensor = self.norm_ff(x + self.ff(x))
        return out


class Reverser(nn.Module):
    """Turn a sequence around, all places at once."""

    def __init__(self, layers: int, width: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(9, width)
        self.places = nn.Parameter(torch.randn(LENGTH, width))
        self.layers = nn.Sequential(*(PostNormLayer(width) for _ in range(layers)))
        self.out = nn.Linear(width, 9)

    def forward(self, source: Tensor) -> Tensor:
        """Return the scores of a symbol at every place."""
        scores: Tensor = self.out(self.layers(self.tokens(source) + self.places))
        return scores


def model(layers: int = 6, width: int = 64) -> nn.Module:
    """Build the network."""
    return Reverser(layers, width)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield sequences of ten symbols and the same backwards."""
    for (source, _), backwards in copy_task(seed, length=LENGTH, size=32):
        yield source, backwards


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Compare the symbols at every place."""
    return F.cross_entropy(output.flatten(0, 1), target.flatten())


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam, as the paper did."""
    return torch.optim.Adam(model.parameters(), lr=5e-4, betas=(0.9, 0.98), eps=1e-9)


@torch.no_grad()
def metric(model: nn.Module) -> float:
    """Return the share of right symbols in 256 new sequences; a guess has 1/8."""
    (source, _), backwards = next(copy_task(HELD_OUT, length=LENGTH, size=256))
    return float((model(source).argmax(dim=-1) == backwards).float().mean())
