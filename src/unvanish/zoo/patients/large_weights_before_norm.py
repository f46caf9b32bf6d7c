"""Weights drawn from a standard normal, each layer followed by batch normalisation.

The normalisation takes any scale of the weights out again. Their gradients are smaller
by the same factor, which says nothing about how well the network learns: what counts is
the gradient times the weight, and the learning rate is chosen for that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(
    family="MLP",
    steps=200,
    variants={"std": (0.3, 3.0), "width": (48, 128)},
    source="van Laarhoven (2017)",
)
GOAL = 0.85
HIGHER_IS_BETTER = True


class Net(nn.Module):
    """Linear, BatchNorm, ReLU, four times."""

    def __init__(self, std: float, width: int) -> None:
        super().__init__()
        self.linears, self.norms = nn.ModuleList(), nn.ModuleList()
        for inside in (64, width, width, width):
            linear = nn.Linear(inside, width, bias=False)
            nn.init.normal_(linear.weight, std=std)
            self.linears.append(linear)
            self.norms.append(nn.BatchNorm1d(width))
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Map 64 pixels to 10 scores."""
        for linear, norm in zip(self.linears, self.norms, strict=True):
            x = torch.relu(norm(linear(x)))
        scores: Tensor = self.head(x)
        return scores


def model(std: float = 1.0, width: int = 64) -> nn.Module:
    """Build the network."""
    return Net(std, width)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(), size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: Net) -> torch.optim.Optimizer:
    """Use SGD; the scale-free layers' rate grows with the square of their weights."""
    large = list(model.linears.parameters())
    others = [*model.norms.parameters(), *model.head.parameters()]
    scale = float(large[0].detach().square().mean()) * large[0].shape[1]
    groups: list[dict[str, Any]] = [
        {"params": large, "lr": 0.05 * scale},
        {"params": others, "lr": 0.05},
    ]
    return torch.optim.SGD(groups, momentum=0.9)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits())
