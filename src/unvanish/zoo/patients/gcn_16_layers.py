"""A graph convolutional network with sixteen layers.

Every layer replaces a node by an average over its neighbours. Two of them help, since neighbours
tend to be alike; after sixteen all nodes have seen the same graph and look the same, whatever
their features were. He initialisation keeps the size of the signal and cannot keep the
differences.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.patient import Patient
from unvanish.zoo.sequences import block_graph

PATIENT = Patient(
    family="GNN",
    codes=("UV103",),
    cause=Cause.DEPTH_WITHOUT_SKIP,
    also=("UV101", "UV202", "UV502"),
    cure="a share of the first layer's features in every layer (GCNII)",
    steps=120,
    variants={"layers": (24, 32), "hidden": (32,)},
    source="miafei/NodeNorm#2; lightaime/deep_gcns_torch#10; Li, Han and Wu (2018)",
)
GOAL = 0.8
HIGHER_IS_BETTER = True

IGNORED = -100


class GCN(nn.Module):
    """``relu(A H W)`` over and over."""

    def __init__(self, layers: int, hidden: int, keep: float) -> None:
        super().__init__()
        self.keep = keep
        self.lift = nn.Linear(16, hidden)
        self.convs = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(layers))
        self.classify = nn.Linear(hidden, 3)
        for conv in self.convs:
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")

    def forward(self, features: Tensor, adjacency: Tensor) -> Tensor:
        """Return class scores for every node."""
        first = h = F.relu(self.lift(features))
        for conv in self.convs:
            h = F.relu(conv(adjacency @ h))
            if self.keep:
                h = (1 - self.keep) * h + self.keep * first
        scores: Tensor = self.classify(h)
        return scores


def model(layers: int = 16, hidden: int = 48) -> nn.Module:
    """Build the network."""
    return GCN(layers, hidden, keep=0.0)


def cured(layers: int = 16, hidden: int = 48) -> nn.Module:
    """Build the network with initial residuals."""
    return GCN(layers, hidden, keep=0.5)


def data(_seed: int = 0) -> Iterator[tuple[tuple[Tensor, Tensor], Tensor]]:
    """Yield the one graph; a third of the nodes has a label."""
    features, adjacency, block = block_graph(0)
    known = torch.arange(len(block)) % 10 < 3
    yield (features, adjacency), torch.where(known, block, IGNORED)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Compare the nodes that have a label."""
    return F.cross_entropy(output, target, ignore_index=IGNORED)


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam."""
    return torch.optim.Adam(model.parameters(), lr=5e-3, weight_decay=5e-4)


@torch.no_grad()
def metric(model: nn.Module) -> float:
    """Return the accuracy on the nodes without a label; chance is a third."""
    features, adjacency, block = block_graph(0)
    hidden = torch.arange(len(block)) % 10 >= 3
    guess = model(features, adjacency).argmax(dim=1)
    return float((guess == block)[hidden].float().mean())
