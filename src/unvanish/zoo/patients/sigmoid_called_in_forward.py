"""Ten fully connected layers whose sigmoids are called in `forward`, not built as modules.

The same trouble as with `nn.Sigmoid`, a quarter at most per layer, but a tool that walks
the list of modules sees nothing but linear layers.
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
    cause=Cause.ACTIVATION_SLOPE,
    also=("UV103", "UV401", "UV502"),
    cure="tanh with orthogonal weights in place of the sigmoid",
    steps=300,
    variants={"depth": (8, 14)},
)
GOAL = 0.9
HIGHER_IS_BETTER = True


class Classifier(nn.Module):
    """Digits to scores; the activation is a plain function."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.first = nn.Linear(64, 48)
        self.hidden = nn.ModuleList([nn.Linear(48, 48) for _ in range(depth - 1)])
        self.last = nn.Linear(48, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Map 64 pixels to 10 scores."""
        x = torch.sigmoid(self.first(x))
        for layer in self.hidden:
            x = torch.sigmoid(layer(x))
        scores: Tensor = self.last(x)
        return scores


class CuredClassifier(Classifier):
    """The same with tanh and orthogonal weights."""

    def __init__(self, depth: int) -> None:
        super().__init__(depth)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.orthogonal_(layer.weight, gain=1.1)
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map 64 pixels to 10 scores."""
        x = torch.tanh(self.first(x))
        for layer in self.hidden:
            x = torch.tanh(layer(x))
        scores: Tensor = self.last(x)
        return scores


def model(depth: int = 10) -> nn.Module:
    """Build the network."""
    return Classifier(depth)


def cured(depth: int = 10) -> nn.Module:
    """Build it with tanh."""
    return CuredClassifier(depth)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(), size=64, seed=seed)


def loss(scores: Tensor, labels: Tensor) -> Tensor:
    """Compare scores with labels."""
    return nn.functional.cross_entropy(scores, labels)


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam as it comes."""
    return torch.optim.Adam(model.parameters(), lr=1e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits())
