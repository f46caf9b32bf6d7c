"""House prices in full, some hundred thousands, to be predicted by a network as it comes.

The output starts near zero and Adam moves each weight by a thousandth a step, so that
the way to 300 000 takes longer than anybody waits. The inputs are in order.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.data import houses, in_batches
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import unexplained

PATIENT = Patient(
    family="MLP",
    codes=("UV506",),
    cause=Cause.INPUT_SCALE,
    also=("UV102", "UV404", "UV405"),
    cure="an output in standard deviations around the mean price",
    steps=500,
    variants={"width": (32, 96)},
)
GOAL = 0.2
HIGHER_IS_BETTER = False


def network(width: int) -> nn.Sequential:
    """Return the layers."""
    return nn.Sequential(
        nn.Linear(6, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1)
    )


class InEuros(nn.Module):
    """Turns standard deviations around the mean into prices."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def forward(self, x: Tensor) -> Tensor:
        """Convert."""
        return self.mean + self.std * x


def model(width: int = 64) -> nn.Module:
    """Build the network."""
    return network(width)


def cured(width: int = 64) -> nn.Module:
    """Build it with an output in prices."""
    _, prices = offers(2000, 0)
    return nn.Sequential(network(width), InEuros(prices.mean(), prices.std()))


def offers(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return standardised properties of houses, and prices."""
    x, prices = houses(count, seed)
    train, _ = houses(2000, 0)
    return (x - train.mean(dim=0)) / train.std(dim=0), prices


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over 2000 houses."""
    return in_batches(*offers(2000, 0), size=100, seed=seed)


loss = nn.MSELoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=1e-3)


def metric(model: nn.Module) -> float:
    """Return the share of variance left unexplained on 500 other houses."""
    return unexplained(model, *offers(500, 1))
