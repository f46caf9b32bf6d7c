"""A pooling by hand that calls `.item()` on each value, and so leaves the graph.

The code looks like arithmetic and gives the right numbers. They are Python numbers, with
no memory of where they came from; the tensor made of them starts a new graph.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.data import friedman, in_batches
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import unexplained

PATIENT = Patient(
    family="MLP",
    codes=("UV505",),
    cause=Cause.DETACHED_GRAPH,
    also=("UV501", "UV502", "UV504"),
    cure="stack the tensors themselves",
    steps=300,
    variants={"experts": (3, 5)},
    source="https://github.com/queenie88/A-GCN/issues/4",
)
GOAL = 0.3
HIGHER_IS_BETTER = False


class Experts(nn.Module):
    """A few small networks; the head weighs what they say."""

    def __init__(self, experts: int) -> None:
        super().__init__()
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(10, 24), nn.Tanh(), nn.Linear(24, 1)) for _ in range(experts)
        )
        self.head = nn.Linear(experts, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Predict."""
        opinions = [[value.item() for value in expert(x)] for expert in self.experts]
        y: Tensor = self.head(torch.tensor(opinions).T)
        return y


class ConnectedExperts(Experts):
    """The same, inside of the graph."""

    def forward(self, x: Tensor) -> Tensor:
        """Predict."""
        y: Tensor = self.head(torch.cat([expert(x) for expert in self.experts], dim=1))
        return y


def model(experts: int = 4) -> nn.Module:
    """Build the network."""
    return Experts(experts)


def cured(experts: int = 4) -> nn.Module:
    """Build it without leaving the graph."""
    return ConnectedExperts(experts)


def standardised(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return inputs and targets of mean 0 and standard deviation 1."""
    x, y = friedman(count, seed)
    return (x - 0.5) * 12**0.5, (y - 14.4) / 4.9


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over 1500 samples."""
    return in_batches(*standardised(1500, 0), size=50, seed=seed)


loss = nn.MSELoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=1e-2)


def metric(model: nn.Module) -> float:
    """Return the share of variance left unexplained on 400 other samples."""
    return unexplained(model, *standardised(400, 1))
