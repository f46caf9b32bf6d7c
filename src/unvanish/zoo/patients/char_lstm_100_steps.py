"""A character-level language model: an LSTM with a loss at every one of a hundred steps.

The gradient of the last step does not reach the first one, and need not: nearly all of what
decides a letter lies within the ten letters before it, and every letter has a loss of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from unvanish.zoo.patient import Patient
from unvanish.zoo.sequences import ALPHABET, HELD_OUT, character_text

PATIENT = Patient(family="LSTM", steps=250, variants={"hidden": (64, 192)})
GOAL = 1.0
HIGHER_IS_BETTER = False
CLIP_GRAD_NORM = 1.0


class CharLSTM(nn.Module):
    """Embedding, LSTM, linear."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(len(ALPHABET), 32)
        self.lstm = nn.LSTM(32, hidden, batch_first=True)
        self.decode = nn.Linear(hidden, len(ALPHABET))

    def forward(self, letters: Tensor) -> Tensor:
        """Return the scores of every next letter."""
        states, _ = self.lstm(self.embed(letters))
        scores: Tensor = self.decode(states)
        return scores


def model(hidden: int = 128) -> nn.Module:
    """Build the network."""
    return CharLSTM(hidden)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield windows of a hundred letters, and the letters that follow."""
    return character_text(seed, length=100)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy of a letter, in nats."""
    return cross_entropy(output.transpose(1, 2), target)


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam."""
    return torch.optim.Adam(model.parameters(), lr=5e-3)


@torch.no_grad()
def metric(model: nn.Module) -> float:
    """Return the loss on further windows of the same text; letters alone have 2.8."""
    letters, following = next(character_text(HELD_OUT, length=100, size=64))
    return float(loss(model(letters), following))
