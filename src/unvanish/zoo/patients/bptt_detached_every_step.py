"""A recurrent loop that detaches its hidden state at every step.

Detaching the state between long chunks of text is ordinary practice (truncated backpropagation
through time). Inside the loop it truncates after one step: every weight gets a gradient, from the
last step alone, and nothing ever rewards the network for what it kept.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn as nn
import torch.nn.functional as F

from unvanish.core.findings import Cause
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy
from unvanish.zoo.sequences import HELD_OUT, first_token_recall

PATIENT = Patient(
    family="GRU",
    codes=("UV301",),
    cause=Cause.DETACHED_GRAPH,
    also=("UV501", "UV101", "UV502"),
    cure="detach between sequences, not between steps",
    steps=400,
    variants={"hidden": (32, 96)},
    source="pytorch/examples, word_language_model: repackage_hidden",
)
GOAL = 0.9
HIGHER_IS_BETTER = True


class Recall(nn.Module):
    """A GRU cell in a loop, and a classifier on the last state."""

    def __init__(self, hidden: int, *, detach: bool) -> None:
        super().__init__()
        self.detach = detach
        self.hidden = hidden
        self.embed = nn.Embedding(8, 16)
        self.cell = nn.GRUCell(16, hidden)
        self.fc = nn.Linear(hidden, 4)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Guess the first token after the last."""
        h = torch.zeros(tokens.size(0), self.hidden, device=tokens.device)
        for t in range(tokens.size(1)):
            if self.detach:
                h = h.detach()
            h = self.cell(self.embed(tokens[:, t]), h)
        return F.log_softmax(self.fc(h), dim=1)


def model(hidden: int = 64) -> nn.Module:
    """Build the network."""
    return Recall(hidden, detach=True)


def cured(hidden: int = 64) -> nn.Module:
    """Build the network without the detach."""
    return Recall(hidden, detach=False)


def data(seed: int = 0) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield sequences of 15 tokens."""
    return first_token_recall(seed, length=15)


loss = F.nll_loss


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam."""
    return torch.optim.Adam(model.parameters(), lr=3e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on new sequences; chance is a quarter."""
    return accuracy(model, *next(first_token_recall(HELD_OUT, length=15, size=256)))
