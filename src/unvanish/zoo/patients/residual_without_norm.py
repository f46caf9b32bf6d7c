"""Forty residual blocks, no normalisation, every branch as strong as its shortcut.

Each block adds a branch of the same variance as its input, so that signal and gradient
grow by 1.4 a block and reach a million at the output. Skip connections alone do not keep
a network stable; somebody has to scale the branches.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(
    family="MLP",
    codes=("UV102",),
    cause=Cause.NO_NORMALISATION,
    also=("UV203", "UV403", "UV404", "UV405"),
    cure="layer normalisation at the start of each branch and before the head",
    steps=250,
    variants={"blocks": (32, 50)},
    source="Zhang, Dauphin and Ma (2019)",
)
GOAL = 0.9
HIGHER_IS_BETTER = True


class Block(nn.Module):
    """x + W2 relu(W1 x)."""

    def __init__(self, dim: int, *, norm: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim) if norm else nn.Identity()
        self.fc1 = nn.Linear(dim, dim)
        self.fc2 = nn.Linear(dim, dim)
        nn.init.kaiming_normal_(self.fc1.weight, nonlinearity="relu")
        nn.init.kaiming_normal_(self.fc2.weight, nonlinearity="linear")

    def forward(self, x: Tensor) -> Tensor:
        """Add the branch to its input."""
        branch: Tensor = self.fc2(F.relu(self.fc1(self.norm(x))))
        return x + branch


class ResMLP(nn.Module):
    """A residual network of fully connected layers."""

    def __init__(self, blocks: int, dim: int, *, norm: bool) -> None:
        super().__init__()
        self.stem = nn.Linear(64, dim)
        self.blocks = nn.ModuleList(Block(dim, norm=norm) for _ in range(blocks))
        self.norm = nn.LayerNorm(dim) if norm else nn.Identity()
        self.head = nn.Linear(dim, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Map 64 pixels to 10 scores."""
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        scores: Tensor = self.head(self.norm(x))
        return scores


def model(blocks: int = 40, dim: int = 48) -> nn.Module:
    """Build the network."""
    return ResMLP(blocks, dim, norm=False)


def cured(blocks: int = 40, dim: int = 48) -> nn.Module:
    """Build it with layer normalisation."""
    return ResMLP(blocks, dim, norm=True)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(), size=64, seed=seed)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Compare scores with labels."""
    return F.cross_entropy(output, target)


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use SGD with a moderate rate."""
    return torch.optim.SGD(model.parameters(), lr=0.02)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits())
