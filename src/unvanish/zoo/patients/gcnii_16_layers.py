"""A deep graph network that reads its first features again in every layer (GCNII).

The chain of sixteen averages on its own would forget the features, and the gradient along it is
small. It does not matter: a tenth of the first layer's output enters every layer directly, and the
weights are close to the identity.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.zoo.patient import Patient
from unvanish.zoo.sequences import block_graph

PATIENT = Patient(
    family="GNN",
    steps=120,
    variants={"layers": (8, 32), "hidden": (32,)},
    source="Chen and others (2020), Simple and deep graph convolutional networks",
)
GOAL = 0.85
HIGHER_IS_BETTER = True

ALPHA = 0.1
LAMBDA = 0.5


class GCNII(nn.Module):
    """Initial residual and identity mapping."""

    def __init__(self, layers: int, hidden: int) -> None:
        super().__init__()
        self.fc_in = nn.Linear(16, hidden)
        self.weights = nn.ParameterList(
            nn.Parameter(nn.init.xavier_normal_(torch.empty(hidden, hidden))) for _ in range(layers)
        )
        self.fc_out = nn.Linear(hidden, 3)

    def forward(self, features: Tensor, adjacency: Tensor) -> Tensor:
        """Return class scores for every node."""
        first = h = torch.relu(self.fc_in(F.dropout(features, 0.2, self.training)))
        for number, weight in enumerate(self.weights, start=1):
            beta = math.log(LAMBDA / number + 1)
            support = (1 - ALPHA) * (adjacency @ h) + ALPHA * first
            h = torch.relu((1 - beta) * support + beta * (support @ weight))
        scores: Tensor = self.fc_out(h)
        return scores


def model(layers: int = 16, hidden: int = 48) -> nn.Module:
    """Build the network."""
    return GCNII(layers, hidden)


def data(_seed: int = 0) -> Iterator[tuple[tuple[Tensor, Tensor], Tensor]]:
    """Yield the one graph; three nodes in ten have a label."""
    features, adjacency, block = block_graph(0)
    known = torch.arange(len(block)) % 10 < 3
    yield (features, adjacency), block.masked_fill(~known, -100)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Compare the nodes that have a label."""
    return F.cross_entropy(output, target, ignore_index=-100)


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam."""
    return torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=1e-3)


@torch.no_grad()
def metric(model: nn.Module) -> float:
    """Return the accuracy on the nodes without a label; chance is a third."""
    features, adjacency, block = block_graph(0)
    hidden = torch.arange(len(block)) % 10 >= 3
    guess = model(features, adjacency).argmax(dim=1)
    return float((guess == block)[hidden].float().mean())
