"""A highway network whose transform gates start at sigmoid(-10).

A negative gate bias is right for highway layers: it lets the input through at first. At -10
the gates are open by 0.005 %, so the layers neither do anything nor get a gradient, and the
network stays the linear map that its first and last layer make. At -2 it learns.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.data import in_batches, spirals
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(
    family="highway network",
    codes=("UV303",),
    cause=Cause.BIAS,
    also=("UV101", "UV502"),
    cure="a gate bias of -2",
    steps=800,
    variants={"layers": (5, 20), "width": (32, 64)},
    source="Srivastava, Greff and Schmidhuber (2015)",
)
GOAL = 0.9
HIGHER_IS_BETTER = True


class HighwayLayer(nn.Module):
    """``T * H(x) + (1 - T) * x`` with a learnt gate T."""

    def __init__(self, width: int, gate_bias: float) -> None:
        super().__init__()
        self.transform = nn.Linear(width, width)
        self.gate = nn.Linear(width, width)
        nn.init.constant_(self.gate.bias, gate_bias)

    def forward(self, x: Tensor) -> Tensor:
        """Transform what the gate lets in and carry the rest."""
        t = torch.sigmoid(self.gate(x))
        out: Tensor = t * torch.relu(self.transform(x)) + (1 - t) * x
        return out


def _network(layers: int, width: int, gate_bias: float) -> nn.Module:
    return nn.Sequential(
        nn.Linear(2, width),
        *(HighwayLayer(width, gate_bias) for _ in range(layers)),
        nn.Linear(width, 3),
    )


def model(layers: int = 10, width: int = 48) -> nn.Module:
    """Build the network."""
    return _network(layers, width, gate_bias=-10.0)


def cured(layers: int = 10, width: int = 48) -> nn.Module:
    """Build the network with gates that are mostly, not wholly, closed."""
    return _network(layers, width, gate_bias=-2.0)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over 2048 points on three spirals."""
    return in_batches(*spirals(2048, seed=0), size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with momentum."""
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def metric(model: nn.Module) -> float:
    """Return the accuracy on 600 other points; chance is a third."""
    return accuracy(model, *spirals(600, seed=1))
