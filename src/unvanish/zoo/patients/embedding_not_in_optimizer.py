"""A bag-of-words classifier whose embedding was left out of the optimiser.

The optimiser was written down when the model had two linear layers. The embedding came later; it
gets a gradient at every step and nobody applies it. Four random numbers for each of 200 words are
not enough to tell eight topics by.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy
from unvanish.zoo.sequences import HELD_OUT, topics

PATIENT = Patient(
    family="text classifier",
    codes=("UV504",),
    cause=Cause.DETACHED_GRAPH,
    also=("UV501", "UV502"),
    cure="model.parameters() in the optimiser",
    steps=800,
    variants={"dim": (3, 6)},
)
GOAL = 0.85
HIGHER_IS_BETTER = True


class BagOfWords(nn.Module):
    """The mean of all words' vectors, then two linear layers."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.embedding = nn.EmbeddingBag(200, dim, mode="mean")
        self.fc = nn.Linear(dim, 64)
        self.out = nn.Linear(64, 8)

    def forward(self, words: Tensor) -> Tensor:
        """Return the scores of eight topics."""
        x = torch.relu(self.fc(self.embedding(words)))
        scores: Tensor = self.out(x)
        return scores


def model(dim: int = 4) -> nn.Module:
    """Build the network."""
    return BagOfWords(dim)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield texts of 20 words and their topics."""
    return topics(seed)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """Compare scores with topics."""
    return nn.functional.cross_entropy(output, target)


def optimizer(model: BagOfWords) -> torch.optim.Optimizer:
    """Train the layers one could think of."""
    return torch.optim.Adam([*model.fc.parameters(), *model.out.parameters()], lr=1e-2)


def cured_optimizer(model: BagOfWords) -> torch.optim.Optimizer:
    """Train everything."""
    return torch.optim.Adam(model.parameters(), lr=1e-2)


def metric(model: nn.Module) -> float:
    """Return the accuracy on 500 new texts; chance is an eighth."""
    return accuracy(model, *next(topics(HELD_OUT, size=500)))
