"""Twenty residual blocks without any normalisation, initialised by Fixup.

The first layer of each branch is scaled down with the depth and the second one is zero.
Scalar biases and multipliers stand where the normalisation would.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(
    family="ResNet",
    steps=250,
    variants={"depth": (10, 30)},
    source="Zhang, Dauphin and Ma (2019)",
)
GOAL = 0.85
HIGHER_IS_BETTER = True


class FixupBlock(nn.Module):
    """x + s W2 relu(W1 (x + a) + b) + c."""

    def __init__(self, dim: int, depth: int) -> None:
        super().__init__()
        self.bias1a, self.bias1b = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
        self.bias2a, self.bias2b = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
        self.scale = nn.Parameter(torch.ones(1))
        self.fc1 = nn.Linear(dim, dim, bias=False)
        self.fc2 = nn.Linear(dim, dim, bias=False)
        nn.init.normal_(self.fc1.weight, std=(2 / dim) ** 0.5 * depth**-0.5)
        nn.init.zeros_(self.fc2.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Add the branch."""
        out = torch.relu(self.fc1(x + self.bias1a) + self.bias1b)
        branch: Tensor = self.scale * self.fc2(out + self.bias2a) + self.bias2b
        return x + branch


class FixupNet(nn.Module):
    """A stem, blocks, and a head that starts at zero."""

    def __init__(self, depth: int, dim: int = 64) -> None:
        super().__init__()
        self.stem = nn.Linear(64, dim)
        self.blocks = nn.Sequential(*[FixupBlock(dim, depth) for _ in range(depth)])
        self.head = nn.Linear(dim, 10)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map 64 pixels to 10 scores."""
        scores: Tensor = self.head(self.blocks(self.stem(x)))
        return scores


def model(depth: int = 20) -> nn.Module:
    """Build the network."""
    return FixupNet(depth)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(), size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train with plain momentum."""
    return torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits())
