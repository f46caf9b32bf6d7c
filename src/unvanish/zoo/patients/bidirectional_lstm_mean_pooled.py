"""A bidirectional LSTM over 120 tokens whose states are averaged before the classifier.

From the last step alone, nothing reaches the first token. But the answer hangs on the mean of all
steps, and the second direction ends where the first begins, so every token is close to the loss.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy
from unvanish.zoo.sequences import HELD_OUT, first_token_recall

PATIENT = Patient(family="LSTM", steps=400, variants={"hidden": (24, 96)})
GOAL = 0.9
HIGHER_IS_BETTER = True

LENGTH = 120


class BiLSTM(nn.Module):
    """Read a text from both ends and average."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(8, 16)
        self.lstm = nn.LSTM(16, hidden, bidirectional=True, batch_first=True)
        self.dropout = nn.Dropout(0.1)
        self.fc = nn.Linear(2 * hidden, 4)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the scores of four classes."""
        states = self.lstm(self.embedding(tokens))[0]
        out: Tensor = self.fc(self.dropout(states.mean(dim=1)))
        return out


def model(hidden: int = 48) -> nn.Module:
    """Build the network."""
    return BiLSTM(hidden)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield texts that are marked by their first token."""
    return first_token_recall(seed, length=LENGTH)


loss = F.cross_entropy


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam."""
    return torch.optim.Adam(model.parameters(), lr=3e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on new texts; chance is a quarter."""
    return accuracy(model, *next(first_token_recall(HELD_OUT, length=LENGTH, size=256)))
