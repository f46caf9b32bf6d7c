"""An LSTM with PyTorch's default bias that has to carry one token over 200 steps.

The LSTM was invented against vanishing gradients, but its forget gates start at sigmoid(0),
one half, and a half to the power of 200 is nothing. A forget bias of 1 is not enough either:
the gates have to start open for about as long as the sequence is.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from unvanish.core.findings import Cause
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy
from unvanish.zoo.sequences import HELD_OUT, first_token_recall

PATIENT = Patient(
    family="LSTM",
    codes=("UV301",),
    cause=Cause.RECURRENCE,
    also=("UV101", "UV103", "UV401", "UV402", "UV502"),
    cure="chrono initialisation: forget bias ln U(1, T - 1), input bias its negative",
    steps=300,
    variants={"hidden": (24, 96)},
    source="pytorch/pytorch#20102; Tallec and Ollivier (2018)",
)
GOAL = 0.9
HIGHER_IS_BETTER = True

T = 200
KEYS = FILLERS = 2


class Recall(nn.Module):
    """An LSTM that reads one-hot tokens and answers after the last."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(KEYS + FILLERS, hidden)
        self.fc = nn.Linear(hidden, KEYS)

    def forward(self, tokens: Tensor) -> Tensor:
        """Answer with the scores of the first token."""
        x = one_hot(tokens.T, KEYS + FILLERS).float()  # time first
        _, (last, _) = self.lstm(x)
        out: Tensor = self.fc(last[0])
        return out


def model(hidden: int = 48) -> nn.Module:
    """Build the network as it comes."""
    return Recall(hidden)


def cured(hidden: int = 48) -> nn.Module:
    """Build it and set the gates' biases from the length of the sequence."""
    net = Recall(hidden)
    memory = torch.empty(hidden).uniform_(1, T - 1).log()
    with torch.no_grad():
        net.lstm.bias_hh_l0.zero_()
        bias = net.lstm.bias_ih_l0.zero_()
        bias[hidden : 2 * hidden] = memory
        bias[:hidden] = -memory
    return net


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass of 50 batches."""
    return first_token_recall(seed, length=T, keys=KEYS, fillers=FILLERS)


loss = cross_entropy


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam at a usual learning rate."""
    return torch.optim.Adam(model.parameters(), lr=3e-3)


def metric(model: nn.Module) -> float:
    """Return the share of 256 new sequences whose first token is remembered; chance is 1/2."""
    batch = first_token_recall(HELD_OUT, length=T, keys=KEYS, fillers=FILLERS, size=256)
    return accuracy(model, *next(batch))
