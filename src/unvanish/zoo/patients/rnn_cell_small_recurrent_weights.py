"""A loop over ``nn.RNNCell`` with weights drawn from N(0, 0.01).

"Small random numbers" are fine for an input layer. In the recurrent matrix they give a
largest eigenvalue of about 0.1, so a state fades to a tenth with every step, and so does the
gradient. Thirty steps are not many; with an orthogonal matrix the same loop learns.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn as nn
from torch import Tensor

from unvanish.core.findings import Cause
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy
from unvanish.zoo.sequences import HELD_OUT, first_token_recall

PATIENT = Patient(
    family="RNN",
    codes=("UV301",),
    cause=Cause.INIT_TOO_SMALL,
    also=("UV101", "UV103", "UV401", "UV402", "UV502"),
    cure="orthogonal recurrent weights",
    steps=400,
    variants={"hidden": (64, 160)},
)
GOAL = 0.9
HIGHER_IS_BETTER = True

LENGTH = 30


class CellLoop(nn.Module):
    """Feed one token after the other to a recurrent cell."""

    def __init__(self, vocabulary: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.embed = nn.Embedding(vocabulary, 32)
        self.cell = nn.RNNCell(32, hidden)
        self.fc = nn.Linear(hidden, classes)
        self.init_weights()

    def init_weights(self) -> None:
        """Start from small random numbers."""
        for p in self.cell.parameters():
            nn.init.normal_(p, 0, 0.01)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return class scores for ``(batch, time)`` tokens."""
        h = torch.zeros(tokens.size(0), self.hidden, device=tokens.device)
        for t in range(tokens.size(1)):
            h = self.cell(self.embed(tokens[:, t]), h)
        out: Tensor = self.fc(h)
        return out


def model(hidden: int = 96) -> nn.Module:
    """Build the network."""
    return CellLoop(vocabulary=8, hidden=hidden, classes=4)


def cured(hidden: int = 96) -> nn.Module:
    """Build the network and make its recurrence a rotation."""
    net = CellLoop(vocabulary=8, hidden=hidden, classes=4)
    nn.init.orthogonal_(net.cell.weight_hh)
    return net


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches of token sequences."""
    yield from first_token_recall(seed, length=LENGTH, size=32)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Return the negative log likelihood of the first token."""
    return nn.functional.nll_loss(output.log_softmax(dim=1), target)


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam."""
    return torch.optim.Adam(model.parameters(), lr=1e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on new sequences; chance is a quarter."""
    return accuracy(model, *next(first_token_recall(HELD_OUT, length=LENGTH, size=256)))
