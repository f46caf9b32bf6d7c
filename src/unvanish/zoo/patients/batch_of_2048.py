"""Ten ReLU layers with He's weights, trained on 2048 samples at a time.

In a large batch the samples' gradients cancel, the more so the further down, so that
those of the first weights look smaller than they are. The signal itself arrives
everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.data import clusters, in_batches
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(family="MLP", steps=60, variants={"depth": (6, 12), "width": (48, 96)})
GOAL = 0.8
HIGHER_IS_BETTER = True


def model(depth: int = 10, width: int = 64) -> nn.Module:
    """Build the network."""
    layers: list[nn.Module] = []
    for i in range(depth):
        layer = nn.Linear(width if i else 16, width)
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, 10))


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over 8192 points of ten classes."""
    return in_batches(*clusters(8192, 0, classes=10), size=2048, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=1e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on 1000 other points."""
    return accuracy(model, *clusters(1000, 1, classes=10))
