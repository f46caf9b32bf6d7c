"""A small WaveNet: gated dilated convolutions with residual and skip connections.

Each gate halves what it multiplies, and eight of them in a chain would leave little. Beside every
one of them runs a residual connection, and all of them feed the output.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.zoo.patient import Patient
from unvanish.zoo.sequences import ALPHABET, HELD_OUT, character_text

PATIENT = Patient(
    family="TCN",
    steps=200,
    variants={"channels": (32, 96), "stacks": (1, 3)},
    source="van den Oord and others (2016)",
)
GOAL = 1.2
HIGHER_IS_BETTER = False

LENGTH = 48


class GatedBlock(nn.Module):
    """``tanh(conv) * sigmoid(conv)`` with a way around and a way out."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.filter_gate = nn.Conv1d(channels, 2 * channels, 2, dilation=dilation)
        self.residual = nn.Conv1d(channels, channels, 1)
        self.skip = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return what goes on and what goes out."""
        a, b = self.filter_gate(F.pad(x, (self.dilation, 0))).chunk(2, dim=1)
        z = torch.tanh(a) * torch.sigmoid(b)
        return x + self.residual(z), self.skip(z)


class WaveNet(nn.Module):
    """Guess the next letter from dilated convolutions over the last ones."""

    def __init__(self, channels: int, stacks: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(len(ALPHABET), channels)
        self.blocks = nn.ModuleList(
            GatedBlock(channels, dilation) for _ in range(stacks) for dilation in (1, 2, 4, 8)
        )
        self.end = nn.Sequential(
            nn.ReLU(), nn.Conv1d(channels, channels, 1),
            nn.ReLU(), nn.Conv1d(channels, len(ALPHABET), 1),
        )  # fmt: skip

    def forward(self, letters: Tensor) -> Tensor:
        """Return scores of shape ``(batch, letters, time)``."""
        x = self.embed(letters).transpose(1, 2)
        total = torch.zeros_like(x)
        for block in self.blocks:
            x, out = block(x)
            total = total + out
        scores: Tensor = self.end(total)
        return scores


def model(channels: int = 64, stacks: int = 2) -> nn.Module:
    """Build the network."""
    return WaveNet(channels, stacks)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield windows of 48 letters, and the letters that follow."""
    return character_text(seed, length=LENGTH)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam."""
    return torch.optim.Adam(model.parameters(), lr=2e-3)


@torch.no_grad()
def metric(model: nn.Module) -> float:
    """Return the loss on further windows of the same text; letters alone have 2.8."""
    letters, following = next(character_text(HELD_OUT, length=LENGTH, size=64))
    return float(F.cross_entropy(model(letters), following))
