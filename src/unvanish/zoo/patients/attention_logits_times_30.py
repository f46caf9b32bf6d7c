"""A lookup by attention whose scores are multiplied by 30 in place of divided by sqrt(d).

The softmax over such scores is one-hot: one entry has all the weight, whichever it happens
to be, and no small change of query or key changes that. Values and output layer go on
learning from whatever is picked, with gradients that look healthy; the picking never improves.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.patient import Patient
from unvanish.zoo.sequences import HELD_OUT, lookup

PATIENT = Patient(
    family="attention",
    codes=("UV302",),
    cause=Cause.SOFTMAX_SATURATION,
    also=("UV101", "UV102", "UV404", "UV405", "UV502"),
    cure="scores divided by sqrt(d)",
    steps=200,
    variants={"width": (32, 96)},
    source="Zhai and others (2023) on the collapse of attention entropy",
)
GOAL = 0.85
HIGHER_IS_BETTER = True

PAIRS = 10


class Lookup(nn.Module):
    """Attend to the entry of a small dictionary that has the key in question."""

    def __init__(self, width: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.keys = nn.Embedding(16, width)
        self.values = nn.Embedding(8, width)
        self.to_query = nn.Linear(width, width, bias=False)
        self.to_key = nn.Linear(width, width, bias=False)
        self.to_value = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(width, 8)
        nn.init.xavier_uniform_(self.to_query.weight)
        nn.init.xavier_uniform_(self.to_key.weight)

    def forward(self, key: Tensor, value: Tensor, question: Tensor) -> Tensor:
        """Return the scores of the eight possible answers."""
        entries = self.keys(key) + self.values(value)
        q = self.to_query(self.keys(question)).unsqueeze(1)
        scores = q @ self.to_key(entries).transpose(1, 2) * self.scale
        picked = torch.softmax(scores, dim=-1) @ self.to_value(entries)
        answer: Tensor = self.out(picked.squeeze(1))
        return answer


def model(width: int = 64) -> nn.Module:
    """Build the network."""
    return Lookup(width, scale=30.0)


def cured(width: int = 64) -> nn.Module:
    """Build the network with the scale of Vaswani and others (2017)."""
    return Lookup(width, scale=1 / math.sqrt(width))


def data(seed: int = 0) -> Iterator[tuple[tuple[Tensor, Tensor, Tensor], Tensor]]:
    """Yield dictionaries of ten entries with a question to each."""
    return lookup(seed, pairs=PAIRS)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Compare the answer with the right one."""
    return nn.functional.cross_entropy(output, target)


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam."""
    return torch.optim.Adam(model.parameters(), lr=2e-3)


@torch.no_grad()
def metric(model: nn.Module) -> float:
    """Return the share of right answers to 500 questions; a guess has 1/8."""
    inputs, answer = next(lookup(HELD_OUT, pairs=PAIRS, size=500))
    return float((model(*inputs).argmax(dim=1) == answer).float().mean())
