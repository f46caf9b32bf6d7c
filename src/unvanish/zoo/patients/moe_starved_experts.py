"""A mixture of experts whose router sends everything to the first expert.

The router's bias favours expert 0 by thirty, so expert 0 wins every sample, is the only one that
gets a gradient, gets better and goes on winning. The data follow six different laws; five of
the six experts that should learn them never see a sample.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import unexplained
from unvanish.zoo.sequences import HELD_OUT, regimes

PATIENT = Patient(
    family="mixture of experts",
    codes=("UV303",),
    cause=Cause.BIAS,
    also=("UV501", "UV101", "UV502", "UV203"),
    cure="no bias towards any expert, and noise that lets each one win now and then",
    steps=1500,
    variants={"experts": (4, 12)},
    source="Shazeer and others (2017), section 4, on experts that starve",
)
GOAL = 0.3
HIGHER_IS_BETTER = False


class SwitchLayer(nn.Module):
    """Each sample goes to the one expert with the largest router score."""

    def __init__(self, experts: int, favour: float, noise: float) -> None:
        super().__init__()
        self.noise = noise
        self.router = nn.Linear(8, experts)
        self.experts = nn.ModuleList(nn.Linear(8, 2) for _ in range(experts))
        with torch.no_grad():
            self.router.bias.zero_()
            self.router.bias[0] = favour

    def forward(self, x: Tensor) -> Tensor:
        """Route, compute, and weigh each answer by the router's confidence."""
        scores = self.router(x)
        if self.training and self.noise:
            scores = scores + self.noise * torch.randn_like(scores)
        confidence, winner = scores.softmax(dim=1).max(dim=1)
        y = x.new_zeros(len(x), 2)
        for number, expert in enumerate(self.experts):
            mine = (winner == number).nonzero().squeeze(1)
            if len(mine):
                y = y.index_copy(0, mine, confidence[mine, None] * expert(x[mine]))
        return y


def model(experts: int = 6) -> nn.Module:
    """Build the layer."""
    return SwitchLayer(experts, favour=30.0, noise=0.0)


def cured(experts: int = 6) -> nn.Module:
    """Build the layer with a fair router."""
    return SwitchLayer(experts, favour=0.0, noise=1.0)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield points that follow six linear laws."""
    return regimes(seed)


loss = nn.MSELoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam."""
    return torch.optim.Adam(model.parameters(), lr=1e-2)


def metric(model: nn.Module) -> float:
    """Return the share of the targets' variance that is not explained."""
    return unexplained(model, *next(regimes(HELD_OUT, size=600)))
