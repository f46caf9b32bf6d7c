"""Density of two moons by a coupling flow."""

import math

import torch
from torch import nn


def moons(n, seed):
    g = torch.Generator().manual_seed(seed)
    a = torch.rand(n, generator=g) * math.pi
    up = torch.rand(n, generator=g) < 0.5
    x = torch.where(up, torch.cos(a), 1 - torch.cos(a))
    y = torch.where(up, torch.sin(a), 0.5 - torch.sin(a))
    return torch.stack([x - 0.5, y - 0.25], 1) + 0.06 * torch.randn(n, 2, generator=g)


class Coupling(nn.Module):
    def __init__(self, flip, hidden=64):
        super().__init__()
        self.flip = flip
        self.net = nn.Sequential(
            nn.Linear(1, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 2)
        )
        for m in self.net:
            if isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, std=0.4)

    def forward(self, x):
        a, b = x.chunk(2, 1)
        if self.flip:
            a, b = b, a
        s, t = self.net(a).chunk(2, 1)
        b = b * torch.exp(s) + t
        return (torch.cat([b, a], 1) if self.flip else torch.cat([a, b], 1)), s.sum(1)


class Flow(nn.Module):
    def __init__(self, depth=8):
        super().__init__()
        self.steps = nn.ModuleList(Coupling(i % 2 == 1) for i in range(depth))

    def forward(self, x):
        logdet = 0
        for step in self.steps:
            x, ld = step(x)
            logdet = logdet + ld
        return -0.5 * (x**2).sum(1) - math.log(2 * math.pi) + logdet


def model():
    return Flow()


X = moons(2000, 0)


def data(seed=0):
    for i in torch.randperm(2000, generator=torch.Generator().manual_seed(seed)).split(100):
        yield X[i], X[i]


def loss(log_prob, _):
    return -log_prob.mean()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)


HIGHER_IS_BETTER = False


def metric(model):
    with torch.no_grad():
        return -model(moons(500, 1)).mean().item()
