"""Two networks that talk in words: a speaker says what it sees, a listener has to guess it.

A word is the argmax of the speaker's scores, a whole number, and no gradient goes through a
whole number. The listener learns what the random speaker happens to distinguish; the speaker
never learns to say more. A straight-through Gumbel softmax carries the gradient over.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.core.findings import Cause
from unvanish.zoo.data import clusters
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(
    family="seq2seq",
    codes=("UV205", "UV501"),
    cause=Cause.DETACHED_GRAPH,
    also=("UV502", "UV101"),
    cure="a straight-through Gumbel softmax in place of argmax",
    steps=800,
    variants={"hidden": (32, 96)},
    source="isayev/ReLeaSE#39; Jang, Gu and Poole (2017)",
)
GOAL = 0.85
HIGHER_IS_BETTER = True

WORDS = 4
LENGTH = 3
THINGS = 24


class Conversation(nn.Module):
    """Speaker, a message of three words, listener."""

    def __init__(self, hidden: int, *, gumbel: bool) -> None:
        super().__init__()
        self.gumbel = gumbel
        self.speaker = nn.Sequential(
            nn.Linear(16, hidden),
            nn.Tanh(),
            nn.Linear(hidden, LENGTH * WORDS),
            nn.Unflatten(1, (LENGTH, WORDS)),
        )
        self.vocabulary = nn.Embedding(WORDS, hidden)
        self.listener = nn.Sequential(nn.Linear(LENGTH * hidden, hidden), nn.ReLU())
        self.guess = nn.Linear(hidden, THINGS)

    def say(self, scores: Tensor) -> Tensor:
        """Return the vectors of the words that the speaker chose."""
        if self.gumbel and self.training:
            chosen = F.gumbel_softmax(scores, tau=2.0, hard=True)
            return chosen @ self.vocabulary.weight
        words: Tensor = self.vocabulary(scores.argmax(dim=-1))
        return words

    def forward(self, x: Tensor) -> Tensor:
        """Return the listener's scores for what the speaker saw."""
        message = self.say(self.speaker(x)).flatten(1)
        scores: Tensor = self.guess(self.listener(message))
        return scores


def model(hidden: int = 64) -> nn.Module:
    """Build both networks with an argmax between them."""
    return Conversation(hidden, gumbel=False)


def cured(hidden: int = 64) -> nn.Module:
    """Build both networks with a gradient between them."""
    return Conversation(hidden, gumbel=True)


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield what the speaker sees, and which thing it is."""
    for batch in range(50):
        yield clusters(64, 50 * seed + batch, classes=THINGS)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Train both with one Adam."""
    return torch.optim.Adam(model.parameters(), lr=3e-3)


def metric(model: nn.Module) -> float:
    """Return how often the listener is right; chance is 1/24."""
    return accuracy(model, *clusters(600, 10**9, classes=THINGS))
