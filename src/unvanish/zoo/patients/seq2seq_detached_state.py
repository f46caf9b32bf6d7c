"""An encoder and a decoder with a ``detach()`` between them.

The line was put there so that "the decoder does not backpropagate into the data". The decoder
learns what it can from the state of an encoder that stays as random as it was at the start.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.patient import Patient
from unvanish.zoo.sequences import HELD_OUT, copy_task

PATIENT = Patient(
    family="seq2seq",
    codes=("UV501",),
    cause=Cause.DETACHED_GRAPH,
    also=("UV301", "UV502"),
    cure="no detach",
    steps=500,
    variants={"hidden": (80, 160)},
    source="isayev/ReLeaSE#39; queenie88/A-GCN#4",
)
GOAL = 0.9
HIGHER_IS_BETTER = True

LENGTH = 10


class Encoder(nn.Module):
    """Read a sequence into one state."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(9, 16)
        self.gru = nn.GRU(16, hidden, batch_first=True)

    def forward(self, source: Tensor) -> Tensor:
        """Return the state after the last symbol."""
        _, state = self.gru(self.embed(source))
        return state  # type: ignore[no-any-return]


class Decoder(nn.Module):
    """Write a sequence from one state, under teacher forcing."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(9, 16)
        self.gru = nn.GRU(16, hidden, batch_first=True)
        self.out = nn.Linear(hidden, 9)

    def forward(self, shifted: Tensor, state: Tensor) -> Tensor:
        """Return the scores of every next symbol."""
        states, _ = self.gru(self.embed(shifted), state)
        scores: Tensor = self.out(states)
        return scores


class Seq2Seq(nn.Module):
    """Turn a sequence around."""

    def __init__(self, hidden: int, *, detach: bool) -> None:
        super().__init__()
        self.detach = detach
        self.encoder = Encoder(hidden)
        self.decoder = Decoder(hidden)

    def forward(self, source: Tensor, shifted: Tensor) -> Tensor:
        """Return scores of shape ``(batch, symbols, position)``."""
        state = self.encoder(source)
        if self.detach:
            state = state.detach()
        scores: Tensor = self.decoder(shifted, state)
        return scores.transpose(1, 2)


def model(hidden: int = 96) -> nn.Module:
    """Build the network."""
    return Seq2Seq(hidden, detach=True)


def cured(hidden: int = 96) -> nn.Module:
    """Build the network without the detach."""
    return Seq2Seq(hidden, detach=False)


def data(seed: int = 0) -> Iterator[tuple[tuple[Tensor, Tensor], Tensor]]:
    """Yield sequences of ten symbols and their reverse."""
    return copy_task(seed, length=LENGTH)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam."""
    return torch.optim.Adam(model.parameters(), lr=3e-3)


@torch.no_grad()
def metric(model: nn.Module) -> float:
    """Return the share of right symbols under teacher forcing; a guess has 1/8."""
    (source, shifted), target = next(copy_task(HELD_OUT, length=LENGTH, size=256))
    return float((model(source, shifted).argmax(dim=1) == target).float().mean())
