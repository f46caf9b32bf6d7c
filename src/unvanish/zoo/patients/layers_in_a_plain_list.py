"""Hidden layers kept in a Python list instead of an `nn.ModuleList`.

PyTorch does not look into lists. The layers run, and get gradients, and are in no
`parameters()`: the optimiser has never heard of them, and a checkpoint would not either.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.data import in_batches, spirals
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(
    family="MLP",
    codes=("UV504",),
    cause=Cause.DETACHED_GRAPH,
    also=("UV502",),
    cure="an nn.ModuleList",
    steps=500,
    variants={"width": (6, 10)},
)
GOAL = 0.9
HIGHER_IS_BETTER = True


class Net(nn.Module):
    """A few hidden layers."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.layers: Iterable[nn.Module] = [
            nn.Linear(2 if i == 0 else width, width) for i in range(depth)
        ]
        self.output = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Map points to 3 scores."""
        for layer in self.layers:
            x = torch.tanh(3 * layer(x))
        scores: Tensor = self.output(x)
        return scores


def model(width: int = 8, depth: int = 3) -> nn.Module:
    """Build the network."""
    return Net(width, depth)


def cured(width: int = 8, depth: int = 3) -> nn.Module:
    """Build it and register the layers."""
    net = Net(width, depth)
    net.layers = nn.ModuleList(net.layers)
    return net


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over 1000 points."""
    return in_batches(*spirals(1000, 0), size=100, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=1e-2)


def metric(model: nn.Module) -> float:
    """Return the accuracy on 600 other points."""
    return accuracy(model, *spirals(600, 1))
