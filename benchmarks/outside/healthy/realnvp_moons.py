"""RealNVP on the two moons, maximum likelihood."""

import math

import torch
from sklearn.datasets import make_moons
from torch import nn


class Coupling(nn.Module):
    def __init__(self, flip, h=64):
        super().__init__()
        self.flip = flip
        self.net = nn.Sequential(nn.Linear(1, h), nn.ReLU(), nn.Linear(h, h), nn.ReLU())
        self.s = nn.Linear(h, 1)
        self.t = nn.Linear(h, 1)
        nn.init.zeros_(self.s.weight)
        nn.init.zeros_(self.s.bias)
        nn.init.zeros_(self.t.weight)
        nn.init.zeros_(self.t.bias)

    def forward(self, x):
        a, b = x.chunk(2, 1)
        if self.flip:
            a, b = b, a
        h = self.net(a)
        s = torch.tanh(self.s(h)) * 2
        b = b * s.exp() + self.t(h)
        out = torch.cat([b, a] if self.flip else [a, b], 1)
        return out, s.sum(1)


class RealNVP(nn.Module):
    def __init__(self, n=8):
        super().__init__()
        self.layers = nn.ModuleList([Coupling(i % 2 == 1) for i in range(n)])

    def forward(self, x):
        logdet = 0
        for layer in self.layers:
            x, ld = layer(x)
            logdet = logdet + ld
        return -0.5 * (x**2).sum(1) - math.log(2 * math.pi) + logdet


def nll(log_prob, _):
    return -log_prob.mean()


loss = nll


def model():
    return RealNVP()


def batch():
    x, y = make_moons(256, noise=0.06)
    x = (x - [0.5, 0.25]) / [0.87, 0.5]
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
