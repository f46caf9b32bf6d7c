"""A GRU that solves the adding problem over fifty steps.

Two of fifty numbers are marked and their sum is wanted after the last. Under the default start
the gradient of the first step is some ten decades (powers of ten) below that of the last, and the
GRU learns it all the same: the later mark teaches the gates to keep what is marked.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import unexplained
from unvanish.zoo.sequences import HELD_OUT, adding_problem

PATIENT = Patient(
    family="GRU",
    steps=400,
    variants={"hidden": (48, 96)},
    source="Hochreiter and Schmidhuber (1997) for the problem",
)
GOAL = 0.2
HIGHER_IS_BETTER = False

LENGTH = 50


class Adder(nn.Module):
    """A GRU and a linear readout of its last state."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.gru = nn.GRU(2, hidden, batch_first=True)
        self.readout = nn.Linear(hidden, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, time, number and mark)`` to a sum."""
        _, state = self.gru(x)
        total: Tensor = self.readout(state[0])
        return total


def model(hidden: int = 64) -> nn.Module:
    """Build the network."""
    return Adder(hidden)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield sequences of numbers and marks."""
    return adding_problem(seed, length=LENGTH, size=64)


loss = nn.MSELoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam."""
    return torch.optim.Adam(model.parameters(), lr=5e-3)


def metric(model: nn.Module) -> float:
    """Return the share of the sums' variance that is not explained."""
    return unexplained(model, *next(adding_problem(HELD_OUT, length=LENGTH, size=500)))
