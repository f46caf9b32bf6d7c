"""A tanh RNN written as a loop, with orthogonal recurrent weights and small inputs.

A rotation keeps lengths, and with inputs of a tenth the tanh is nearly a straight line: over
fifty steps the gradient loses one to two decades, which leaves enough to learn from.
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
    steps=250,
    variants={"hidden": (96, 192)},
    source="Saxe, McClelland and Ganguli (2014)",
)
GOAL = 0.9
HIGHER_IS_BETTER = True

LENGTH = 50


class OrthogonalRNN(nn.Module):
    """``h = tanh(U x + Q h)`` with a rotation Q."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.U = nn.Embedding(8, hidden)
        self.Q = nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, 4)
        nn.init.normal_(self.U.weight, std=0.1)
        nn.init.orthogonal_(self.Q.weight)
        nn.init.zeros_(self.Q.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        """Guess the first token after the last."""
        h = torch.zeros(1, self.Q.in_features, device=tokens.device)
        for x in self.U(tokens).unbind(dim=1):
            h = torch.tanh(x + self.Q(h))
        scores: Tensor = self.out(h)
        return scores


def model(hidden: int = 128) -> nn.Module:
    """Build the network."""
    return OrthogonalRNN(hidden)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield sequences of 50 tokens."""
    return first_token_recall(seed, length=LENGTH)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam at a small rate, as a critical network likes it."""
    return torch.optim.Adam(model.parameters(), lr=1e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on new sequences; chance is a quarter."""
    return accuracy(model, *next(first_token_recall(HELD_OUT, length=LENGTH, size=256)))
