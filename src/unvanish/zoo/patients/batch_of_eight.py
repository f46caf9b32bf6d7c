"""Ten ReLU layers with He's weights, trained on eight samples at a time.

In a batch of eight some healthy units stay silent by chance, and each step is noisy. Over
many steps the noise averages out.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(family="MLP", steps=1000, variants={"depth": (6, 12), "width": (48, 96)})
GOAL = 0.8
HIGHER_IS_BETTER = True


def model(depth: int = 10, width: int = 64) -> nn.Module:
    """Build the network."""
    layers: list[nn.Module] = []
    for i in range(depth):
        layer = nn.Linear(width if i else 64, width)
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, 10))


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(), size=8, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use SGD."""
    return torch.optim.SGD(model.parameters(), lr=0.01)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits())
