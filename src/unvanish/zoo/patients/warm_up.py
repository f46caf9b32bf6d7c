"""An optimiser that warms up: its first steps are a thousandth of its later ones.

Whoever looks at the first three updates only sees a learning rate of a millionth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from unvanish.zoo.data import held_out_digits, in_batches, training_digits
from unvanish.zoo.patient import Patient
from unvanish.zoo.scores import accuracy

PATIENT = Patient(family="MLP", steps=300, variants={"width": (48, 128)})
GOAL = 0.85
HIGHER_IS_BETTER = True


class WarmUpAdam(torch.optim.Adam):
    """Adam whose rate rises in proportion to the square of the step."""

    def __init__(self, params: Iterable[Tensor], lr: float, warm_up: int) -> None:
        super().__init__(params, lr=lr / warm_up**2)
        self.peak, self.warm_up, self.count = lr, warm_up, 0

    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Set the rate and step."""
        self.count += 1
        for group in self.param_groups:
            group["lr"] = self.peak * min(1.0, self.count / self.warm_up) ** 2
        return super().step(closure)


def model(width: int = 64) -> nn.Module:
    """Build the network."""
    return nn.Sequential(
        nn.Linear(64, width), nn.LayerNorm(width), nn.GELU(),
        nn.Linear(width, width), nn.LayerNorm(width), nn.GELU(),
        nn.Linear(width, 10),
    )  # fmt: skip


def data(seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass over the training images."""
    return in_batches(*training_digits(), size=64, seed=seed)


loss = nn.CrossEntropyLoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Warm up for a hundred steps."""
    return WarmUpAdam(model.parameters(), lr=3e-3, warm_up=100)


def metric(model: nn.Module) -> float:
    """Return the accuracy on images the training never sees."""
    return accuracy(model, *held_out_digits())
