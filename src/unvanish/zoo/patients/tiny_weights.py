"""Every weight drawn from a normal distribution of standard deviation 0.01.

AlexNet was initialised like that, with wide layers and the first of them close to the
data. Here ten layers of 64 units multiply the signal by 0.06 each, and nothing is left.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from unvanish.core.findings import Cause
from unvanish.zoo.data import held_out_digits, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(
    family="MLP",
    codes=("UV101",),
    cause=Cause.INIT_TOO_SMALL,
    also=("UV103", "UV401", "UV502"),
    cure="weights at He's scale, sqrt(2 / fan_in)",
    steps=300,
    variants={"std": (0.005, 0.02), "depth": (7, 14)},
    source="Krizhevsky, Sutskever and Hinton (2012), the initialisation",
)
GOAL = 0.9
HIGHER_IS_BETTER = True


class MLP(nn.Module):
    """A plain multilayer perceptron."""

    def __init__(self, sizes: list[int], std: float | None) -> None:
        super().__init__()
        self.fcs = nn.ModuleList()
        for inside, outside in pairwise(sizes):
            fc = nn.Linear(inside, outside)
            nn.init.normal_(fc.weight, mean=0.0, std=std or (2.0 / inside) ** 0.5)
            nn.init.constant_(fc.bias, 0)
            self.fcs.append(fc)

    def forward(self, x: Tensor) -> Tensor:
        """Apply ReLU after every layer but the last."""
        for fc in self.fcs[:-1]:
            x = fc(x).relu()
        scores: Tensor = self.fcs[-1](x)
        return scores


def model(std: float = 0.01, depth: int = 10) -> nn.Module:
    """Build the network."""
    return MLP([64] * depth + [10], std)


def cured(std: float = 0.01, depth: int = 10) -> nn.Module:  # noqa: ARG001 (the cure sets it)
    """Build it at He's scale."""
    return MLP([64] * depth + [10], None)


def data(seed: int = 0) -> Iterator[list[Tensor]]:
    """Return a loader over the training images."""
    generator = torch.Generator().manual_seed(seed)
    dataset = TensorDataset(*training_digits())
    return iter(DataLoader(dataset, batch_size=64, shuffle=True, generator=generator))


loss = "cross_entropy"


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with plain momentum."""
    return torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits())
