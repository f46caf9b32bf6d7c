import math

import torch
from sklearn.datasets import make_moons
from torch import nn


class Coupling(nn.Module):
    def __init__(self, hidden=32, swap=False):
        super().__init__()
        self.swap = swap
        self.net = nn.Sequential(nn.Linear(1, hidden), nn.ReLU(), nn.Linear(hidden, 2))
        for m in self.net:
            if isinstance(m, nn.Linear):
                nn.init.normal_(m.weight)

    def forward(self, x, logdet):
        a, b = x.chunk(2, dim=1)
        if self.swap:
            a, b = b, a
        s, t = self.net(a).chunk(2, dim=1)
        b = b * torch.exp(s) + t
        x = torch.cat([b, a] if self.swap else [a, b], dim=1)
        return x, logdet + s.sum(1)


class RealNVP(nn.Module):
    def __init__(self, n=8):
        super().__init__()
        self.flows = nn.ModuleList(Coupling(swap=bool(k % 2)) for k in range(n))

    def forward(self, x):
        logdet = torch.zeros(len(x))
        for f in self.flows:
            x, logdet = f(x, logdet)
        logp = -0.5 * (x**2).sum(1) - math.log(2 * math.pi)
        return logp + logdet


def batch(n=256):
    x, _ = make_moons(n, noise=0.05)
    x = torch.tensor(x, dtype=torch.float32) - 0.5
    return x, torch.zeros(n)


def loss(logp, _):
    return -logp.mean()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
