"""A network that does not learn, so small that its cure takes a second or two."""

from __future__ import annotations

from typing import Final

SOURCE: Final = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(5))
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        for layer in self.layers:
            x = torch.sigmoid(layer(x))
        return self.head(x)


def model():
    return Net()


def data():
    generator = torch.Generator().manual_seed(0)
    for _ in range(8):
        x = torch.randn(32, 8, generator=generator)
        yield x, (x[:, 0] > 0).long()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1)
"""
