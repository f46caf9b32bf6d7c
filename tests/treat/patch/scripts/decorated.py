"""A registry's decorator on the class, another one on forward, type hints and keyword-only use."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

REGISTRY: dict[str, type[nn.Module]] = {}


def register(name: str):
    def wrap(cls):
        REGISTRY[name] = cls
        return cls

    return wrap


def logged(function):
    @functools.wraps(function)
    def inner(self, *args, **kwargs):
        return function(self, *args, **kwargs)

    return inner


@register("deep")
class Deep(nn.Module):
    """A deep network."""

    def __init__(self, *, width: int = 32, depth: int = 14, classes: int = 3) -> None:
        super().__init__()
        self.stem = nn.Linear(in_features=20, out_features=width)
        self.body = nn.ModuleList(
            [nn.Linear(in_features=width, out_features=width) for _ in range(depth)]
        )
        self.head = nn.Linear(in_features=width, out_features=classes)

    @logged
    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        for layer in self.body:
            x = F.relu(layer(x))
        return self.head(x)


def model() -> nn.Module:
    return REGISTRY["deep"]()


def batch() -> tuple[Tensor, Tensor]:
    inputs = torch.randn(64, 20)
    return inputs, inputs[:, :3].argmax(dim=1)
