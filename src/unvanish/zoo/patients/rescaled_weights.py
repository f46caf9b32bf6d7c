"""One layer's weights a thousand times larger, the next one's a thousand times smaller.

ReLU lets such factors through, so that the function is the one without them. The
optimiser gives each layer a rate in proportion to its weights, and trains them alike.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(family="MLP", steps=200, variants={"factor": (100.0, 1e-3)})
GOAL = 0.85
HIGHER_IS_BETTER = True


def model(factor: float = 1000.0) -> nn.Module:
    """Build the network."""
    net = nn.Sequential()
    for scale in (1.0, factor, 1 / factor, 1.0, 1.0):
        linear = nn.Linear(64, 64)
        nn.init.normal_(linear.weight, std=scale * (2 / 64) ** 0.5)
        nn.init.zeros_(linear.bias)
        net.extend([linear, nn.ReLU()])
    net.append(nn.Linear(64, 10))
    return net


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(), size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam, with a rate of 1 % of each weight matrix's own scale."""
    groups = []
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            scale = float(layer.weight.detach().std())
            above = float(layer.weight.detach().std() * layer.in_features**0.5)
            groups.append({"params": [layer.weight], "lr": 0.01 * scale})
            groups.append({"params": [layer.bias], "lr": 0.003 * above})
    return torch.optim.Adam(groups)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits())
