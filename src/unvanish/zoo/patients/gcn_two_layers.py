"""The graph convolutional network of Kipf and Welling: two layers, dropout, weight decay.

Two rounds of averaging over neighbours are just right: they take the noise out of the features and
leave the communities apart. A few of the 240 nodes have a label.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.zoo.patient import Patient
from unvanish.zoo.sequences import block_graph

PATIENT = Patient(
    family="GNN",
    steps=100,
    variants={"hidden": (16, 64), "sparse": (True,)},
    source="Kipf and Welling (2017)",
)
GOAL = 0.85
HIGHER_IS_BETTER = True


class GraphConvolution(nn.Module):
    """``A X W + b``."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x: Tensor, adj: Tensor) -> Tensor:
        """Transform every node and average over its neighbours."""
        return adj @ (x @ self.weight) + self.bias


class GCN(nn.Module):
    """Two graph convolutions."""

    def __init__(self, hidden: int, *, sparse: bool) -> None:
        super().__init__()
        self.sparse = sparse
        self.gc1 = GraphConvolution(16, hidden)
        self.gc2 = GraphConvolution(hidden, 3)

    def forward(self, x: Tensor, adj: Tensor) -> Tensor:
        """Return log-probabilities for every node."""
        adj = adj.to_sparse() if self.sparse else adj
        x = F.relu(self.gc1(x, adj))
        x = F.dropout(x, 0.5, training=self.training)
        return F.log_softmax(self.gc2(x, adj), dim=1)


def model(hidden: int = 32, sparse: bool = False) -> nn.Module:
    """Build the network."""
    return GCN(hidden, sparse=sparse)


def data(_seed: int = 0) -> Iterator[tuple[tuple[Tensor, Tensor], Tensor]]:
    """Yield the one graph; a fifth of the nodes has a label."""
    x, adj, labels = block_graph(0)
    yield (x, adj), torch.where(torch.arange(len(labels)) % 10 < 2, labels, -100)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Compare the nodes that have a label."""
    return F.nll_loss(output, target, ignore_index=-100)


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam and weight decay."""
    return torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)


@torch.no_grad()
def metric(model: nn.Module) -> float:
    """Return the accuracy on the nodes without a label; chance is a third."""
    x, adj, labels = block_graph(0)
    rest = torch.arange(len(labels)) % 10 >= 2
    return float((model(x, adj).argmax(dim=1) == labels)[rest].float().mean())
