"""A hundred ReLU layers with exactly the right scale, whose inputs all end up the same.

He's weights keep the length of signal and gradient at any depth. They do not keep the
angles: after a hundred layers all images point in one direction, and the network can no
longer tell a three from an eight.
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
    codes=("UV103",),
    cause=Cause.DEPTH_WITHOUT_SKIP,
    also=("UV101", "UV102", "UV405", "UV502"),
    cure="skip connections around every second layer, the branches scaled down",
    steps=200,
    variants={"depth": (80, 120)},
    source="Daneshmand, Kohler, Bach, Hofmann and Lucchi (2020)",
)
GOAL = 0.85
HIGHER_IS_BETTER = True


class Deep(nn.Module):
    """Equal layers, with or without shortcuts around pairs of them."""

    def __init__(self, depth: int, width: int, *, shortcuts: bool) -> None:
        super().__init__()
        self.embed = nn.Linear(64, width)
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.head = nn.Linear(width, 10)
        self.shortcuts = shortcuts
        for layer in self.layers.modules():
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map 64 pixels to 10 scores."""
        h = self.embed(x)
        if self.shortcuts:
            for first, second in zip(self.layers[::2], self.layers[1::2], strict=True):
                h = h + second(torch.relu(first(h))) / len(self.layers) ** 0.5
        else:
            for layer in self.layers:
                h = torch.relu(layer(h))
        scores: Tensor = self.head(h)
        return scores


def model(depth: int = 100, width: int = 64) -> nn.Module:
    """Build the network."""
    return Deep(depth, width, shortcuts=False)


def cured(depth: int = 100, width: int = 64) -> nn.Module:
    """Build it with shortcuts."""
    return Deep(depth, width, shortcuts=True)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(), size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam with a small rate, as for anything this deep."""
    return torch.optim.Adam(model.parameters(), lr=2e-4)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits())
