"""A lookup by attention whose query and key matrices both start at zero.

Zero scores look harmless: the attention starts uniform. But the gradient of the query is
proportional to the key and the other way round, so that each waits for the other for ever,
and every question is answered with the average of all entries. One of the two may be zero.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.patient import Patient
from unvanish.zoo.sequences import HELD_OUT, lookup

PATIENT = Patient(
    family="attention",
    codes=("UV104",),
    cause=Cause.ZERO_INIT,
    also=("UV101", "UV302", "UV501", "UV502"),
    cure="Xavier initialisation of query and key",
    steps=200,
    variants={"width": (32, 96)},
    source="lucidrains/x-transformers#245",
)
GOAL = 0.85
HIGHER_IS_BETTER = True


class SelfAttention(nn.Module):
    """One head; query and key share a matrix product."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.qk = nn.Linear(dim, 2 * dim, bias=False)
        self.v = nn.Linear(dim, dim, bias=False)
        nn.init.zeros_(self.qk.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Mix the tokens of ``(batch, tokens, dim)``."""
        q, k = self.qk(x).chunk(2, dim=-1)
        mixed: Tensor = F.scaled_dot_product_attention(q, k, self.v(x))
        return mixed


class Reader(nn.Module):
    """Read a dictionary and a question; answer at the question's place."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.keys = nn.Embedding(16, width)
        self.values = nn.Embedding(9, width)  # the last one stands for "which?"
        self.attention = SelfAttention(width)
        self.head = nn.Linear(width, 8)

    def forward(self, key: Tensor, value: Tensor, question: Tensor) -> Tensor:
        """Return the scores of the eight possible answers."""
        which = torch.full_like(question, 8)
        k = torch.cat([key, question[:, None]], dim=1)
        v = torch.cat([value, which[:, None]], dim=1)
        x = self.keys(k) + self.values(v)
        x = x + self.attention(x)
        answer: Tensor = self.head(x[:, -1])
        return answer


def model(width: int = 64) -> nn.Module:
    """Build the network."""
    return Reader(width)


def cured(width: int = 64) -> nn.Module:
    """Build the network and initialise query and key as everything else."""
    net = Reader(width)
    nn.init.xavier_uniform_(net.attention.qk.weight)
    return net


def data(seed: int = 0) -> Iterator[tuple[tuple[Tensor, Tensor, Tensor], Tensor]]:
    """Yield dictionaries of eight entries with a question to each."""
    return lookup(seed, pairs=8)


loss = F.cross_entropy


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with momentum."""
    return torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)


@torch.no_grad()
def metric(model: nn.Module) -> float:
    """Return the share of right answers to 500 questions; a guess has 1/8."""
    (key, value, question), answer = next(lookup(HELD_OUT, pairs=8, size=500))
    return float((model(key, value, question).argmax(dim=1) == answer).float().mean())
