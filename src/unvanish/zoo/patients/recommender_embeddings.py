"""A recommender with 20 000 users and 5 000 items, of which a batch touches a hundred.

Nearly all rows of the embeddings have a gradient of zero in any one batch. Each gets its
turn when its user comes by.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from unvanish.zoo.data import in_batches, ratings
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import unexplained

PATIENT = Patient(family="recommender", steps=250, variants={"dim": (6, 16)})
GOAL = 0.6
HIGHER_IS_BETTER = False

USERS, ITEMS = 20_000, 5_000


class MatrixFactorisation(nn.Module):
    """A vector for each user and item; their product is the rating."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.users = nn.Embedding(USERS, dim)
        self.items = nn.Embedding(ITEMS, dim)
        self.user_bias = nn.Embedding(USERS, 1)
        self.item_bias = nn.Embedding(ITEMS, 1)
        for table in (self.users, self.items):
            nn.init.normal_(table.weight, std=0.3)
        for table in (self.user_bias, self.item_bias):
            nn.init.zeros_(table.weight)

    def forward(self, pairs: Tensor) -> Tensor:
        """Predict the rating of each pair."""
        user, item = pairs.unbind(dim=1)
        bias = self.user_bias(user) + self.item_bias(item)
        rating: Tensor = (self.users(user) * self.items(item)).sum(dim=1) + bias[:, 0]
        return rating


def model(dim: int = 8) -> nn.Module:
    """Build the network."""
    return MatrixFactorisation(dim)


def known(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return ratings among the users and items that rate and are rated most."""
    pairs, scores = ratings(count, seed, users=USERS, items=ITEMS)
    often = (pairs[:, 0] < 100) & (pairs[:, 1] < 50)
    return pairs[often], scores[often]


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over 60 000 ratings."""
    return in_batches(*ratings(60_000, 0, users=USERS, items=ITEMS), size=256, seed=seed)


loss = nn.MSELoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Use Adam."""
    return torch.optim.Adam(model.parameters(), lr=2e-2)


def metric(model: nn.Module) -> float:
    """Return the share of variance left unexplained among frequent users and items."""
    return unexplained(model, *known(20_000, 1))
