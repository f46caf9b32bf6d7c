"""Every weight starts at the same constant, "to make runs reproducible".

All units of a layer then compute the same, get the same gradient and stay the same for
ever. The network has a hundred units and the power of one.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(
    family="MLP",
    codes=("UV104",),
    cause=Cause.ZERO_INIT,
    also=("UV103", "UV405"),
    cure="random weights, and a seed for reproducible runs",
    steps=300,
    variants={"value": (0.005, 0.03), "hidden": (32, 200)},
)
GOAL = 0.85
HIGHER_IS_BETTER = True


def model(value: float = 0.01, hidden: int = 100) -> nn.Module:
    """Build the network."""
    net = cured(value, hidden)
    for parameter in net.parameters():
        nn.init.constant_(parameter, value)
    return net


def cured(value: float = 0.01, hidden: int = 100) -> nn.Module:  # noqa: ARG001
    """Build it with the weights that PyTorch draws."""
    return nn.Sequential(
        nn.Linear(64, hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, 10),
    )


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(), size=64, seed=seed)


loss = "cross_entropy"


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=2e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits())
