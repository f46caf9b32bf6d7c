"""A list of layers, and one activation module that all of them share."""

import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width=24, depth=16):
        super().__init__()
        self.act = nn.Sigmoid()
        self.inp = nn.Linear(10, width)
        self.hidden = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])
        self.out = nn.Linear(width, 4)

    def forward(self, x):
        x = self.act(self.inp(x))
        for layer in self.hidden:
            x = self.act(layer(x))
        return self.out(x)


def batch():
    inputs = torch.randn(96, 10)
    return inputs, inputs[:, :4].argmax(dim=1)
