"""A soft mixture of experts whose router weights start a hundred times too large.

The gates are a softmax over scores in the hundreds: exactly one expert has weight 1, all others
have weight 0, and the router's gradient is zero. Which expert a sample goes to was decided by
the random start and cannot be changed, so laws that share an expert by chance are never parted.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import unexplained
from unvanish.zoo.sequences import HELD_OUT, regimes

PATIENT = Patient(
    family="mixture of experts",
    codes=("UV303",),
    cause=Cause.SOFTMAX_SATURATION,
    also=("UV201", "UV302", "UV101", "UV502"),
    cure="router weights at their usual size",
    steps=1500,
    variants={"experts": (5, 8)},
)
GOAL = 0.3
HIGHER_IS_BETTER = False


class SoftMixture(nn.Module):
    """All experts answer; the router says how much each one counts."""

    def __init__(self, experts: int) -> None:
        super().__init__()
        self.router = nn.Linear(8, experts, bias=False)
        self.weight = nn.Parameter(torch.randn(experts, 8, 2) / 8**0.5)
        self.bias = nn.Parameter(torch.zeros(experts, 2))

    def forward(self, x: Tensor) -> Tensor:
        """Mix the experts' answers."""
        gates = F.softmax(self.router(x), dim=-1)
        answers = torch.einsum("ni,eio->neo", x, self.weight) + self.bias
        return torch.einsum("ne,neo->no", gates, answers)


def model(experts: int = 6) -> nn.Module:
    """Build the mixture with the large router."""
    net = SoftMixture(experts)
    with torch.no_grad():
        net.router.weight *= 100
    return net


def cured(experts: int = 6) -> nn.Module:
    """Build the mixture with the ordinary router."""
    return SoftMixture(experts)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield points that follow six linear laws."""
    yield from regimes(seed)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared error."""
    return F.mse_loss(output, target)


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam."""
    return torch.optim.Adam(model.parameters(), lr=1e-2)


def metric(model: nn.Module) -> float:
    """Return the share of the targets' variance that is not explained."""
    return unexplained(model, *next(regimes(HELD_OUT, size=600)))
