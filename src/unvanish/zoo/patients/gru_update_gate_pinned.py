"""A hand-written GRU whose update gate was given a bias after the wrong paper.

Chung and others (2014) write ``h = (1 - z) h + z n``, where a bias of -6 means "keep". Here,
as in PyTorch, it is ``h = z h + (1 - z) n``: the same bias pins z at 0.2 %, the old state is
thrown away at every step and the update gate's own gradient is as small.
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
    family="GRU",
    codes=("UV303",),
    cause=Cause.BIAS,
    also=("UV301", "UV101", "UV103", "UV401", "UV402", "UV502"),
    cure="the bias with the other sign: z starts at 0.95 and the state is kept",
    steps=300,
    variants={"hidden": (32, 96)},
    source="Cho and others (2014) against Chung and others (2014)",
)
GOAL = 0.9
HIGHER_IS_BETTER = True


class GRULayer(nn.Module):
    """A gated recurrent unit, one step after the other."""

    def __init__(self, inputs: int, hidden: int, update_bias: float) -> None:
        super().__init__()
        self.hidden = hidden
        self.gates = nn.Linear(inputs + hidden, 2 * hidden)
        self.candidate = nn.Linear(inputs + hidden, hidden)
        nn.init.orthogonal_(self.candidate.weight)
        nn.init.constant_(self.gates.bias[hidden:], update_bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the state after the last step of ``(batch, time, inputs)``."""
        h = x.new_zeros(x.shape[0], self.hidden)
        for step in x.unbind(dim=1):
            r, z = torch.sigmoid(self.gates(torch.cat([step, h], dim=1))).chunk(2, dim=1)
            n = torch.tanh(self.candidate(torch.cat([step, r * h], dim=1)))
            h = z * h + (1 - z) * n
        return h


def _network(hidden: int, update_bias: float) -> nn.Module:
    return nn.Sequential(
        nn.Embedding(8, 16), GRULayer(16, hidden, update_bias), nn.Linear(hidden, 4)
    )


def model(hidden: int = 48) -> nn.Module:
    """Build the network."""
    return _network(hidden, update_bias=-6.0)


def cured(hidden: int = 48) -> nn.Module:
    """Build the network with an update gate that keeps."""
    return _network(hidden, update_bias=3.0)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield sequences of 40 tokens."""
    return first_token_recall(seed, length=40)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy."""
    return nn.functional.cross_entropy(output, target)


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam."""
    return torch.optim.Adam(model.parameters(), lr=1e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on sequences the training never sees; chance is a quarter."""
    return accuracy(model, *next(first_token_recall(HELD_OUT, length=40, size=256)))
