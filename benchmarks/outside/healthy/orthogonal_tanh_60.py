"""Sixty tanh layers without skips, orthogonal weights: the 'dynamical isometry' experiment."""

import torch
from sklearn.datasets import load_digits
from torch import nn


class DeepTanh(nn.Module):
    def __init__(self, depth=60, width=128, gain=1.01):
        super().__init__()
        self.stem = nn.Linear(64, width)
        self.hidden = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])
        self.readout = nn.Linear(width, 10)
        for lin in [self.stem, *self.hidden]:
            nn.init.orthogonal_(lin.weight, gain)
            nn.init.zeros_(lin.bias)

    def forward(self, x):
        h = torch.tanh(self.stem(x))
        for lin in self.hidden:
            h = torch.tanh(lin(h))
        return self.readout(h)


def data(seed=0):
    x, y = load_digits(return_X_y=True)
    x = torch.tensor((x - x.mean()) / x.std(), dtype=torch.float32) * 0.3
    y = torch.tensor(y)
    g = torch.Generator().manual_seed(seed)
    for idx in torch.randperm(len(x), generator=g).split(128)[:-1]:
        yield x[idx], y[idx]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-4)
