"""A network whose blocks stand in another file."""

import torch
from parts import Block
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(*[Block(32) for _ in range(8)])
        self.head = nn.Linear(32, 3)

    def forward(self, x):
        return self.head(self.blocks(x))


def batch():
    inputs = torch.randn(64, 32)
    return inputs, inputs[:, :3].argmax(dim=1)
