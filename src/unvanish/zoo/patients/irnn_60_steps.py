"""A plain ReLU RNN that starts as the identity and remembers for sixty steps.

Without gates, but with an identity matrix as its recurrence and small input weights the state is
simply kept, and so is the gradient.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy
from unvanish.zoo.sequences import HELD_OUT, first_token_recall

PATIENT = Patient(
    family="RNN",
    steps=400,
    variants={"hidden": (48, 128)},
    source="Le, Jaitly and Hinton (2015)",
)
GOAL = 0.9
HIGHER_IS_BETTER = True
CLIP_GRAD_NORM = 1.0

LENGTH = 60


class IRNN(nn.Module):
    """``h = relu(W x + h)`` at the start of training."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(8, 16)
        self.rnn = nn.RNN(16, hidden, nonlinearity="relu", batch_first=True)
        self.fc = nn.Linear(hidden, 4)
        nn.init.eye_(self.rnn.weight_hh_l0)
        nn.init.normal_(self.rnn.weight_ih_l0, std=0.01)
        nn.init.zeros_(self.rnn.bias_hh_l0)
        nn.init.zeros_(self.rnn.bias_ih_l0)

    def forward(self, tokens: Tensor) -> Tensor:
        """Guess the first token after the last."""
        states, _ = self.rnn(self.embed(tokens))
        scores: Tensor = self.fc(states[:, -1])
        return scores


def model(hidden: int = 64) -> nn.Module:
    """Build the network."""
    return IRNN(hidden)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield sequences of 60 tokens."""
    return first_token_recall(seed, length=LENGTH)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Compare scores with the first token."""
    return nn.functional.cross_entropy(output, target)


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam."""
    return torch.optim.Adam(model.parameters(), lr=1e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on new sequences; chance is a quarter."""
    return accuracy(model, *next(first_token_recall(HELD_OUT, length=LENGTH, size=256)))
