"""Layer-wise learning rates with a decay of 0.1 a layer, where 0.9 was meant.

Fine-tuning gives earlier layers smaller rates. With 0.1 the first of seven layers gets a
millionth of the last one's: it has gradients, and it stands still.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.data import in_batches, spirals
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(
    family="MLP",
    codes=("UV502",),
    cause=Cause.LEARNING_RATE,
    also=("UV404",),
    cure="a decay of 0.9",
    steps=600,
    variants={"width": (4, 6)},
    source="Howard and Ruder (2018), with a slip",
)
GOAL = 0.85
HIGHER_IS_BETTER = True


def model(width: int = 5, depth: int = 6) -> nn.Module:
    """Build the network."""
    layers: list[nn.Module] = [nn.Linear(2, width), nn.Tanh()]
    for _ in range(depth - 1):
        layers += [nn.Linear(width, width), nn.Tanh()]
    net = nn.Sequential(*layers, nn.Linear(width, 3))
    for layer in net:
        if isinstance(layer, nn.Linear):
            nn.init.xavier_normal_(layer.weight, gain=5 / 3)
    return net


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over 1000 points."""
    points, labels = spirals(1000, 0)
    return in_batches(2 * points, labels, size=100, seed=seed)


loss = nn.CrossEntropyLoss()


def with_decay(model: nn.Module, decay: float) -> torch.optim.Optimizer:
    """Give each layer the rate of the next one, times the decay."""
    layers = [m for m in model.modules() if isinstance(m, nn.Linear)]
    return torch.optim.Adam(
        [
            {"params": layer.parameters(), "lr": 1e-2 * decay**below_the_top}
            for below_the_top, layer in enumerate(reversed(layers))
        ]
    )


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use a decay of 0.1."""
    return with_decay(model, 0.1)


def cured_optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use a decay of 0.9."""
    return with_decay(model, 0.9)


def metric(model: nn.Module) -> float:
    """Return the accuracy on 600 other points."""
    points, labels = spirals(600, 1)
    return accuracy(model, 2 * points, labels)
