"""Sixteen SELU layers with LeCun's initialisation: deep, no normalisation, no skips."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.data import friedman, in_batches
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import unexplained

PATIENT = Patient(
    family="MLP",
    steps=400,
    variants={"depth": (8, 24), "width": (48, 96)},
    source="Klambauer, Unterthiner, Mayr and Hochreiter (2017)",
)
GOAL = 0.2
HIGHER_IS_BETTER = False


def lecun_normal(module: nn.Module) -> None:
    """Draw weights of variance 1 / fan_in."""
    if isinstance(module, nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
        nn.init.zeros_(module.bias)


def model(depth: int = 16, width: int = 64) -> nn.Module:
    """Build the network."""
    blocks = [
        nn.Sequential(nn.Linear(10 if i == 0 else width, width), nn.SELU(), nn.AlphaDropout(0.01))
        for i in range(depth)
    ]
    net = nn.Sequential(*blocks, nn.Linear(width, 1))
    return net.apply(lecun_normal)


def standardised(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return inputs and targets of mean 0 and standard deviation 1."""
    x, y = friedman(count, seed)
    return (x - 0.5) * 12**0.5, (y - 14.4) / 4.9


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over 2000 samples."""
    return in_batches(*standardised(2000, 0), size=100, seed=seed)


loss = nn.MSELoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=5e-4)


def metric(model: nn.Module) -> float:
    """Return the share of variance left unexplained on 500 other samples."""
    return unexplained(model, *standardised(500, 1))
