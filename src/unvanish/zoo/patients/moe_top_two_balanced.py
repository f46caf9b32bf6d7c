"""A mixture of eight experts, of which the router picks the best two for each sample.

An auxiliary loss keeps the router from favouring anyone. In a small batch some expert may see
hardly a sample; the next batch gives it others.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.zoo.patient import Patient
from unvanish.zoo.sequences import HELD_OUT, regimes

PATIENT = Patient(
    family="mixture of experts",
    steps=800,
    variants={"experts": (6, 12)},
    source="Shazeer and others (2017); Fedus, Zoph and Shazeer (2022) for the auxiliary loss",
)
GOAL = 0.15
HIGHER_IS_BETTER = False


class TopTwoMoE(nn.Module):
    """Route each sample to two experts and mix their answers."""

    def __init__(self, experts: int, hidden: int = 32) -> None:
        super().__init__()
        self.router = nn.Linear(8, experts, bias=False)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(8, hidden), nn.ReLU(), nn.Linear(hidden, 2))
            for _ in range(experts)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the answers, and how unevenly the work is shared (1 is fair)."""
        chances = F.softmax(self.router(x), dim=-1)
        weight, chosen = chances.topk(2, dim=-1)
        weight = weight / weight.sum(dim=-1, keepdim=True)
        y = torch.zeros(len(x), 2, device=x.device)
        for number, expert in enumerate(self.experts):
            row, slot = torch.where(chosen == number)
            y = y.index_add(0, row, weight[row, slot, None] * expert(x[row]))
        share = F.one_hot(chosen, chances.shape[1]).float().mean(dim=(0, 1))
        imbalance = chances.shape[1] * (share * chances.mean(dim=0)).sum()
        return y, imbalance


def model(experts: int = 8) -> nn.Module:
    """Build the mixture."""
    return TopTwoMoE(experts)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield points that follow six linear laws."""
    return regimes(seed)


def loss(output: tuple[Tensor, Tensor], target: Tensor) -> Tensor:
    """Return the squared error and a hundredth of the imbalance."""
    answer, imbalance = output
    return F.mse_loss(answer, target) + 0.01 * imbalance


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with Adam."""
    return torch.optim.Adam(model.parameters(), lr=1e-2)


@torch.no_grad()
def metric(model: nn.Module) -> float:
    """Return the mean squared error over the variance of the targets."""
    x, target = next(regimes(HELD_OUT, size=600))
    answer, _ = model(x)
    return float(F.mse_loss(answer, target) / target.var())
