"""A plain tanh RNN that is asked for the first of 150 tokens after it has read the last.

At every step the gradient passes the same small recurrent matrix and a tanh, so that after
150 steps nothing of it is left. The last tokens train the weights well enough, which is why
no weight's gradient looks small: what is missing is the way back in time.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy
from unvanish.zoo.sequences import HELD_OUT, first_token_recall

PATIENT = Patient(
    family="RNN",
    codes=("UV301",),
    cause=Cause.RECURRENCE,
    also=("UV101", "UV103", "UV401", "UV402", "UV502"),
    cure="an LSTM whose forget gates start open for about as long as the sequence (chrono init)",
    steps=350,
    variants={"hidden": (32, 128)},
    source="Hochreiter (1991); Pascanu, Mikolov and Bengio (2013)",
)
GOAL = 0.9
HIGHER_IS_BETTER = True

LENGTH = 150


class LastStepClassifier(nn.Module):
    """Embedding, recurrent layer, and a linear layer on the last time step."""

    def __init__(self, rnn: nn.Module, hidden: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(6, 16)
        self.rnn = rnn
        self.head = nn.Linear(hidden, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        """Guess the first token from the state after the last one."""
        states, _ = self.rnn(self.embed(tokens))
        scores: Tensor = self.head(states[:, -1])
        return scores


def model(hidden: int = 64) -> nn.Module:
    """Build the network with ``nn.RNN`` as it comes."""
    rnn = nn.RNN(16, hidden, batch_first=True)
    return LastStepClassifier(rnn, hidden)


def cured(hidden: int = 64) -> nn.Module:
    """Build it with an LSTM under chrono initialisation."""
    lstm = nn.LSTM(16, hidden, batch_first=True)
    for name, bias in lstm.named_parameters():
        if name.startswith("bias_ih"):
            open_for = torch.empty(hidden).uniform_(1, LENGTH - 1)
            nn.init.zeros_(bias)
            bias.data[hidden : 2 * hidden] = open_for.log()
            bias.data[:hidden] = -open_for.log()
        elif name.startswith("bias_hh"):
            nn.init.zeros_(bias)
    return LastStepClassifier(lstm, hidden)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield 50 batches of 32 sequences."""
    return first_token_recall(seed, length=LENGTH, keys=2)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Compare scores with the first token."""
    return nn.functional.cross_entropy(output, target)


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam."""
    return torch.optim.Adam(model.parameters(), lr=2e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on 256 sequences of their own; chance is a half."""
    batch = next(first_token_recall(HELD_OUT, length=LENGTH, keys=2, size=256))
    return accuracy(model, *batch)
