"""Tanh layers whose weights are drawn from a standard normal, whatever the width.

Sixty-four of them add up to a preactivation of 8, where tanh is flat to six digits. The
units are pinned at -1 and 1, the gradient dies in every layer, and what is left of it
says nothing.
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
    codes=("UV201",),
    cause=Cause.INIT_TOO_LARGE,
    also=("UV101", "UV102", "UV404", "UV405", "UV502"),
    cure="weights at Xavier's scale",
    steps=400,
    variants={"width": (48, 128), "depth": (4, 7)},
    source="Glorot and Bengio (2010)",
)
GOAL = 0.25
HIGHER_IS_BETTER = False


def model(width: int = 64, depth: int = 5) -> nn.Module:
    """Build the network."""
    net = cured(width, depth)
    for p in net.parameters():
        if p.dim() > 1:
            nn.init.normal_(p)
    return net


def cured(width: int = 64, depth: int = 5) -> nn.Module:
    """Build it at Xavier's scale."""
    layers: list[nn.Module] = []
    for i in range(depth):
        layers += [nn.Linear(width if i else 10, width), nn.Tanh()]
    net = nn.Sequential(*layers, nn.Linear(width, 1))
    for p in net.parameters():
        if p.dim() > 1:
            nn.init.xavier_normal_(p)
    return net


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
    return torch.optim.Adam(model.parameters(), lr=1e-3)


def metric(model: nn.Module) -> float:
    """Return the share of variance left unexplained on 500 other samples."""
    return unexplained(model, *standardised(500, 1))
