"""An LSTM whose forget bias was set to -5: a sign the wrong way round.

The forget gate of an LSTM says what to keep. At sigmoid(-5) it keeps 0.7 % per step, so the
cell is emptied before the next token is read, and over 40 steps neither the memory nor the
gradient of the first token survives.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy
from unvanish.zoo.sequences import HELD_OUT, first_token_recall

PATIENT = Patient(
    family="LSTM",
    codes=("UV303",),
    cause=Cause.BIAS,
    also=("UV301", "UV101", "UV103", "UV401", "UV402", "UV502"),
    cure="forget bias +3",
    steps=350,
    variants={"hidden": (32, 128)},
)
GOAL = 0.9
HIGHER_IS_BETTER = True

LENGTH = 40


class Tagger(nn.Module):
    """Embedding, one LSTM, a classifier on the last state."""

    def __init__(self, hidden: int, forget_bias: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(8, 24)
        self.lstm = nn.LSTM(24, hidden, batch_first=True)
        self.out = nn.Linear(hidden, 4)
        for name, p in self.lstm.named_parameters():
            if "weight_hh" in name:
                nn.init.orthogonal_(p)
            elif "weight_ih" in name:
                nn.init.xavier_uniform_(p)
            else:
                nn.init.zeros_(p)
        # PyTorch keeps the gates in the order input, forget, cell, output.
        self.lstm.bias_ih_l0.data[hidden : 2 * hidden].fill_(forget_bias)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the scores of the four possible first tokens."""
        _, (h, _) = self.lstm(self.embedding(tokens))
        scores: Tensor = self.out(h.squeeze(0))
        return scores


def model(hidden: int = 64) -> nn.Module:
    """Build the network with the forget gates closed."""
    return Tagger(hidden, forget_bias=-5.0)


def cured(hidden: int = 64) -> nn.Module:
    """Build the network with the forget gates open."""
    return Tagger(hidden, forget_bias=3.0)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield sequences of 40 tokens."""
    return first_token_recall(seed, length=LENGTH)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy."""
    return F.cross_entropy(output, target)


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with RMSprop, as LSTMs used to be."""
    return torch.optim.RMSprop(model.parameters(), lr=1e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on 300 sequences of their own; chance is a quarter."""
    return accuracy(model, *next(first_token_recall(HELD_OUT, length=LENGTH, size=300)))
