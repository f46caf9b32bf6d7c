"""The runs that are watched: the models every cost figure refers to, and a large one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import models

_BATCHES: Final = 16
"""Batches that a run goes through again and again."""

RATE: Final = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A run to be watched.

    Attributes:
        make: Makes model and batch.
        optimizer: Makes its optimiser.
        says: What it is, for the page.
        rounds: How often every arm has its turn.
        own: Steps that an arm of unvanish's, or a plain one, takes in a turn.
        rival: Steps that any other arm takes in a turn.
        arms: Names of the arms that take part; empty for all.
    """

    make: Callable[[], models.Case]
    optimizer: Callable[[list[nn.Parameter]], torch.optim.Optimizer]
    says: str
    rounds: int
    own: int
    rival: int
    arms: tuple[str, ...] = ()


class Training:
    """A run in progress.

    Args:
        case: Which run.
        device: Where it runs.
        folder: Empty; for what somebody who watches writes.
    """

    def __init__(self, case: Case, device: str, folder: Path) -> None:
        torch.manual_seed(0)
        model, (x, y) = case.make()
        self.model = model.to(device)
        self.optimizer = case.optimizer(list(model.parameters()))
        self.names = [name for name, _ in model.named_parameters()]
        self.step = 0
        self.folder = folder
        self._batches = _turning(x, y, device)
        self.x, self.y = next(self._batches)

    def next(self) -> None:
        """Go on to the next step and its batch."""
        self.step += 1
        self.x, self.y = next(self._batches)

    def loss(self) -> Tensor:
        """Return the loss of the present batch."""
        return F.cross_entropy(self.model(self.x), self.y)


def _turning(x: Tensor, y: Tensor, device: str) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one batch in different orders, so that no run comes to know it by heart at once."""
    of_sample = len(y) // len(x)
    batches = []
    for _ in range(_BATCHES):
        order = torch.randperm(len(x))
        labels = y.reshape(len(x), of_sample)[torch.randperm(len(x))].flatten()
        batches.append((x[order].to(device), labels.to(device)))
    return itertools.cycle(batches)


def _adamw(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=RATE)


def _momentum(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=RATE, momentum=0.9)


def _large() -> models.Case:
    tokens = torch.randint(20_000, (2, 32))
    return _Large(), (tokens, tokens.flatten())


class _Large(models.Transformer):
    """The transformer of the other figures, 12 blocks of 768, over 20,000 tokens."""

    def __init__(self) -> None:
        super().__init__(depth=12, width=768, tokens=20_000)
        self.head.weight = self.embed.weight  # as language models of this size have it
        nn.init.normal_(self.embed.weight, std=0.02)


def _small() -> models.Case:
    return models.mlp(depth=2, width=32, batch=8)


CASES: Final = {
    "MLP, 20 x 256": Case(
        make=models.mlp,
        optimizer=_adamw,
        says="ReLU, He weights, batch of 128, AdamW",
        rounds=10,
        own=20,
        rival=2,
    ),
    "ResNet-18-like, 32 x 32": Case(
        make=models.resnet,
        optimizer=_momentum,
        says="half the width of ResNet-18 (2.8 M parameters), batch of 32, SGD with momentum",
        rounds=5,
        own=5,
        rival=1,
    ),
    "transformer, 6 layers": Case(
        make=models.transformer,
        optimizer=_adamw,
        says="width 128, 4 heads, 32 sequences of 32 tokens, AdamW",
        rounds=8,
        own=6,
        rival=1,
    ),
    "transformer, 100 M": Case(
        make=_large,
        optimizer=_adamw,
        says="12 blocks of 768, 100 M parameters, 2 sequences of 32 tokens, AdamW; few steps",
        rounds=3,
        own=2,
        rival=1,
        arms=(
            *("plain step", "plain step, again", "unvanish", "unvanish, every step: parameters"),
            *("unvanish, every step: everything", "norms by hand, one at a time"),
        ),
    ),
}
"""By name."""

SMALL: Final = Case(
    make=_small, optimizer=_adamw, says="to load what is loaded once", rounds=1, own=1, rival=1
)
