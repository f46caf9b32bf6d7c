"""A network that applies one layer forty times, in search of a fixed point it has not.

A deep equilibrium model needs a map that brings points together. This one, ReLU of a
matrix that is too large, drives them apart: state and gradient grow by half with every
iteration.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(
    family="deep equilibrium",
    codes=("UV102",),
    cause=Cause.INIT_TOO_LARGE,
    also=("UV103", "UV202", "UV203", "UV301", "UV403", "UV404", "UV405"),
    cure="a matrix divided by twice its spectral norm",
    steps=400,
    variants={"iterations": (30, 50), "width": (32, 64)},
    source="Bai, Kolter and Koltun (2019)",
)
GOAL = 0.85
HIGHER_IS_BETTER = True


class Equilibrium(nn.Module):
    """z = relu(W z + U x), iterated."""

    def __init__(self, width: int, iterations: int, *, contract: bool) -> None:
        super().__init__()
        self.width, self.iterations = width, iterations
        self.inject = nn.Linear(64, width)
        self.recur = nn.Linear(width, width, bias=False)
        nn.init.normal_(self.recur.weight, std=2.2 / width**0.5)
        if contract:
            with torch.no_grad():
                self.recur.weight /= 2 * torch.linalg.matrix_norm(self.recur.weight, 2)
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Map 64 pixels to 10 scores."""
        u = self.inject(x)
        z = torch.zeros(len(x), self.width)
        for _ in range(self.iterations):
            z = torch.relu(self.recur(z) + u)
        scores: Tensor = self.head(z)
        return scores


def model(iterations: int = 40, width: int = 48) -> nn.Module:
    """Build the network."""
    return Equilibrium(width, iterations, contract=False)


def cured(iterations: int = 40, width: int = 48) -> nn.Module:
    """Build it with a matrix that contracts."""
    return Equilibrium(width, iterations, contract=True)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(), size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use SGD with a moderate rate."""
    return torch.optim.SGD(model.parameters(), lr=0.05)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits())
