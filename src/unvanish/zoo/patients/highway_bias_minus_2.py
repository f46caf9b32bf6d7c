"""A highway network of fifteen layers with the gate bias its authors recommend.

At -2 a gate is open by 12 %. The layers pass most of their input on and still get a gradient of
their own.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.zoo.data import in_batches, spirals
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(
    family="highway network",
    steps=600,
    variants={"depth": (5, 25), "width": (32, 64)},
    source="Srivastava, Greff and Schmidhuber (2015)",
)
GOAL = 0.9
HIGHER_IS_BETTER = True


class Highway(nn.Module):
    """Many gated layers between a lift and a readout."""

    def __init__(self, depth: int, width: int) -> None:
        super().__init__()
        self.lift = nn.Linear(2, width)
        self.plain = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.gate = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.readout = nn.Linear(width, 3)
        for gate in self.gate:
            nn.init.constant_(gate.bias, -2.0)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Map points to class scores."""
        x = self.lift(x)
        for plain, gate in zip(self.plain, self.gate, strict=True):
            open_by = torch.sigmoid(gate(x))
            x = torch.lerp(x, torch.tanh(plain(x)), open_by)
        scores: Tensor = self.readout(x)
        return scores


def model(depth: int = 15, width: int = 48) -> nn.Module:
    """Build the network."""
    return Highway(depth, width)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over 2048 points on three spirals."""
    return in_batches(*spirals(2048, seed=0), size=64, seed=seed)


loss = F.cross_entropy


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam."""
    return torch.optim.Adam(model.parameters(), lr=3e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on 600 other points; chance is a third."""
    return accuracy(model, *spirals(600, seed=1))
