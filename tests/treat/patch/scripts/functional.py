"""A loop over layers with a function called between them."""

import torch
import torch.nn as nn


class Net(nn.Module):
    def __init__(self, depth=16):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(32, 32) for _ in range(depth))
        self.head = nn.Linear(32, 3)

    def forward(self, x):
        for layer in self.layers:
            x = torch.sigmoid(layer(x))  # squashes
        return self.head(x)


def batch():
    inputs = torch.randn(64, 32)
    return inputs, inputs[:, :3].argmax(dim=1)
