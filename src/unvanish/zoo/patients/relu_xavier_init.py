"""Forty ReLU layers with Xavier weights, the right rule for the wrong activation.

Xavier keeps the variance of linear layers. ReLU halves it, so that signal and gradient
both fall by 0.71 a layer and the gradients of the weights look flat: only the signal
tells that the first layers hear nothing.
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
    codes=("UV101",),
    cause=Cause.INIT_TOO_SMALL,
    also=("UV103", "UV502"),
    cure="He's initialisation, and a residual connection around every second layer",
    steps=300,
    variants={"depth": (32, 50)},
    source="He, Zhang, Ren and Sun (2015)",
)
GOAL = 0.85
HIGHER_IS_BETTER = True


def init_weights(m: nn.Module) -> None:
    """Xavier for every linear layer."""
    if isinstance(m, nn.Linear):
        nn.init.xavier_uniform_(m.weight)
        m.bias.data.fill_(0.0)


def model(depth: int = 40, width: int = 64) -> nn.Module:
    """Build the network."""
    layers: list[nn.Module] = [nn.Linear(64, width), nn.ReLU(inplace=True)]
    for _ in range(depth - 1):
        layers.append(nn.Linear(width, width))
        layers.append(nn.ReLU(inplace=True))
    layers.append(nn.Linear(width, 10))
    net = nn.Sequential(*layers)
    net.apply(init_weights)
    return net


class Residual(nn.Module):
    """Two layers and a shortcut around them."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, width)
        self.fc2 = nn.Linear(width, width)
        nn.init.kaiming_normal_(self.fc1.weight, nonlinearity="relu")
        nn.init.normal_(self.fc2.weight, std=(2 / width / depth) ** 0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Add the branch."""
        return x + torch.relu(self.fc2(torch.relu(self.fc1(x))))


def cured(depth: int = 40, width: int = 64) -> nn.Module:
    """Build it with He's weights and shortcuts."""
    blocks = [Residual(width, depth) for _ in range(depth // 2)]
    return nn.Sequential(nn.Linear(64, width), *blocks, nn.Linear(width, 10))


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(), size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with plain momentum."""
    return torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits())
