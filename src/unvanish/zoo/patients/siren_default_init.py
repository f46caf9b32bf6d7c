"""A network of sines, sin(30 (W x + b)), with PyTorch's default weights.

The frequency of 30 belongs to an initialisation that divides it out again. Without that
each layer multiplies the gradient by about twelve, and the network is noise between the
pixels it was shown.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.data import grid, scene
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import unexplained

PATIENT = Patient(
    family="implicit representation",
    codes=("UV102",),
    cause=Cause.INIT_TOO_LARGE,
    also=("UV404", "UV405"),
    cure="the initialisation of the paper, uniform within sqrt(6 / n) / 30",
    steps=250,
    variants={"depth": (4, 7), "width": (48, 96)},
    source="https://github.com/lucidrains/siren-pytorch/issues/1; Sitzmann et al. (2020)",
)
GOAL = 0.2
HIGHER_IS_BETTER = False

OMEGA = 30.0


class Sine(nn.Module):
    """A linear layer and a sine of high frequency."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inside, outside)

    def forward(self, x: Tensor) -> Tensor:
        """Apply both."""
        return torch.sin(OMEGA * self.linear(x))


def model(depth: int = 5, width: int = 64) -> nn.Module:
    """Build the network."""
    hidden = [Sine(width, width) for _ in range(depth - 1)]
    return nn.Sequential(Sine(2, width), *hidden, nn.Linear(width, 1))


def cured(depth: int = 5, width: int = 64) -> nn.Module:
    """Build it with the paper's initialisation."""
    net = model(depth, width)
    linears = [m for m in net.modules() if isinstance(m, nn.Linear)]
    nn.init.uniform_(linears[0].weight, -0.5, 0.5)
    for linear in linears[1:]:
        bound = math.sqrt(6 / width) / OMEGA
        nn.init.uniform_(linear.weight, -bound, bound)
    return net


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield every pixel of a picture of 32 x 32 at once."""
    del seed
    points = grid(32)
    yield points, scene(points)


loss = nn.MSELoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=1e-3)


def metric(model: nn.Module) -> float:
    """Return the share of variance left unexplained between the pixels."""
    between = grid(45)
    return unexplained(model, between, scene(between))
