"""An LSTM over 200 steps whose forget gates start open for up to 200 steps.

Chrono initialisation draws the forget bias from ln U(1, T - 1): each cell has its own memory, a
few of them as long as the sequence, and a good part of the gradient survives the way back.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy
from unvanish.zoo.sequences import HELD_OUT, first_token_recall

PATIENT = Patient(
    family="LSTM",
    steps=250,
    variants={"hidden": (32, 96)},
    source="Tallec and Ollivier (2018)",
)
GOAL = 0.9
HIGHER_IS_BETTER = True

LENGTH = 200


def chrono_init(lstm: nn.LSTM, longest: int) -> None:
    """Set forget biases to remember for up to `longest` steps, and input biases against them."""
    n = lstm.hidden_size
    with torch.no_grad():
        lstm.bias_hh_l0.zero_()
        lstm.bias_ih_l0.zero_()
        forget = torch.log(torch.empty(n).uniform_(1, longest - 1))
        lstm.bias_ih_l0[n : 2 * n] = forget
        lstm.bias_ih_l0[:n] = -forget


class LongMemory(nn.Module):
    """An LSTM on one-hot tokens with a linear readout."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(6, hidden, batch_first=True)
        chrono_init(self.lstm, longest=LENGTH)
        self.head = nn.Linear(hidden, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        """Guess the first token after the last."""
        one_hot = nn.functional.one_hot(tokens, 6).to(self.head.weight.dtype)
        _, (state, _) = self.lstm(one_hot)
        scores: Tensor = self.head(state[-1])
        return scores


def model(hidden: int = 48) -> nn.Module:
    """Build the network."""
    return LongMemory(hidden)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield sequences of 200 tokens."""
    return first_token_recall(seed, length=LENGTH, keys=2)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Compare scores with the first token."""
    return nn.functional.cross_entropy(output, target)


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam."""
    return torch.optim.Adam(model.parameters(), lr=5e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on new sequences; chance is a half."""
    return accuracy(model, *next(first_token_recall(HELD_OUT, length=LENGTH, keys=2, size=256)))
