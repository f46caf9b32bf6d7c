"""Small networks for the digits, and short trainings of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

Factory = Callable[[nn.Module], torch.optim.Optimizer]


def deep(depth: int, function: type[nn.Module], *, gain: float = 0.0, seed: int = 0) -> nn.Module:
    """A chain of width 64 for the digits; PyTorch's own weights where no gain is given."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for _ in range(depth - 1):
        linear = nn.Linear(64, 64)
        if gain:
            nn.init.normal_(linear.weight, 0.0, gain / 8.0)
            nn.init.zeros_(linear.bias)
        layers += [linear, function()]
    return nn.Sequential(*layers, nn.Linear(64, 10))


def digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Standardised digits, shuffled: 1,400 to train on, the rest to test."""
    datasets = pytest.importorskip("sklearn.datasets")
    images, labels = datasets.load_digits(return_X_y=True)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    x = torch.tensor(images, dtype=torch.float32)[order] / 16.0
    y = torch.tensor(labels)[order]
    x = (x - x[:1400].mean()) / x[:1400].std()
    return x[:1400], y[:1400], x[1400:], y[1400:]


def accuracy(model: nn.Module, optimizer: torch.optim.Optimizer | None, steps: int) -> float:
    """Train on random batches of 128 digits and return the accuracy on the others."""
    assert optimizer is not None
    x, y, x_test, y_test = digits()
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        chosen = torch.randint(0, len(x), (128,), generator=generator)
        optimizer.zero_grad()
        F.cross_entropy(model(x[chosen]), y[chosen]).backward()
        optimizer.step()
    with torch.no_grad():
        return float((model(x_test).argmax(1) == y_test).float().mean())


def sgd(rate: float, momentum: float = 0.0, **options: Any) -> Factory:
    return lambda model: torch.optim.SGD(model.parameters(), lr=rate, momentum=momentum, **options)


def adamw(rate: float, **options: Any) -> Factory:
    return lambda model: torch.optim.AdamW(model.parameters(), lr=rate, **options)
