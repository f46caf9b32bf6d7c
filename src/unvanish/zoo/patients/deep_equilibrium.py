"""A deep equilibrium model whose layer brings points together, as it has to.

The layer is applied until the state rests. Each application takes a part of the gradient
with respect to the start of the iteration away, by design: the answer must not depend on
where one starts. The weights get theirs from every application.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(
    family="deep equilibrium",
    steps=250,
    variants={"iterations": (15, 40), "width": (32, 64)},
    source="Bai, Kolter and Koltun (2019)",
)
GOAL = 0.85
HIGHER_IS_BETTER = True


class DEQ(nn.Module):
    """z = tanh(W z + U x + b), iterated to rest."""

    def __init__(self, width: int, iterations: int) -> None:
        super().__init__()
        self.iterations = iterations
        self.inject = nn.Linear(64, width)
        self.recur = nn.utils.parametrizations.spectral_norm(nn.Linear(width, width, bias=False))
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Map 64 pixels to 10 scores."""
        u = self.inject(x)
        z = torch.zeros_like(u)
        for _ in range(self.iterations):
            z = torch.tanh(0.8 * self.recur(z) + u)
        scores: Tensor = self.head(z)
        return scores


def model(iterations: int = 25, width: int = 48) -> nn.Module:
    """Build the network."""
    return DEQ(width, iterations)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(), size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=3e-3)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits())
