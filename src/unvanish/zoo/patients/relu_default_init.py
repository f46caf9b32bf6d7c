"""Twenty-four ReLU layers with whatever `nn.Linear` starts with.

Half of the units are off and the default weights have a sixth of the variance that ReLU
needs, so that signal and gradient shrink by 0.41 a layer. It works with five layers,
which is why nobody suspects it.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.data import friedman, in_batches
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import unexplained

PATIENT = Patient(
    family="MLP",
    codes=("UV101",),
    cause=Cause.INIT_TOO_SMALL,
    also=("UV103", "UV502"),
    cure="He's initialisation",
    steps=400,
    variants={"depth": (18, 32), "width": (48, 96)},
    source="He, Zhang, Ren and Sun (2015)",
)
GOAL = 0.4
HIGHER_IS_BETTER = False


class Regressor(nn.Module):
    """Ten numbers to one."""

    def __init__(self, depth: int, width: int) -> None:
        super().__init__()
        self.inp = nn.Linear(10, width)
        self.mid = nn.ModuleList(nn.Linear(width, width) for _ in range(depth - 1))
        self.out = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Predict."""
        x = F.relu(self.inp(x))
        for layer in self.mid:
            x = F.relu(layer(x))
        y: Tensor = self.out(x)
        return y


def model(depth: int = 24, width: int = 64) -> nn.Module:
    """Build the network."""
    return Regressor(depth, width)


def cured(depth: int = 24, width: int = 64) -> nn.Module:
    """Build it and initialise it for ReLU."""
    net = Regressor(depth, width)
    for name, parameter in net.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        elif not name.startswith("out"):
            nn.init.kaiming_normal_(parameter, nonlinearity="relu")
    return net


def standardised(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return inputs and targets of mean 0 and standard deviation 1."""
    x, y = friedman(count, seed)
    return (x - 0.5) * 12**0.5, (y - 14.4) / 4.9


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over 2000 samples."""
    return in_batches(*standardised(2000, 0), size=100, seed=seed)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared error."""
    return F.mse_loss(output, target)


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with plain momentum."""
    return torch.optim.SGD(model.parameters(), lr=2e-3, momentum=0.9)


def metric(model: nn.Module) -> float:
    """Return the share of variance left unexplained on 500 other samples."""
    return unexplained(model, *standardised(500, 1))
