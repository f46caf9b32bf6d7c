"""RealNVP on two moons. Tutorial code for the seminar on density estimation."""
import math

import torch
from sklearn.datasets import make_moons
from torch import nn


def moons(n, seed):
    x, _ = make_moons(n, noise=0.06, random_state=seed)
    x = torch.tensor(x, dtype=torch.float32)
    return (x - torch.tensor([0.5, 0.25])) / torch.tensor([0.87, 0.5])


train_x = moons(4000, 0)


class Coupling(nn.Module):
    """x = (xa, xb);  za = xa,  zb = xb * exp(s(xa)) + t(xa)"""

    def __init__(self, flip, hidden=64):
        super().__init__()
        self.flip = flip
        self.net = nn.Sequential(
            nn.Linear(1, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 2)
        )
        # begin at the identity map (Glow, section 3.3)
        nn.init.zeros_(self.net[-1].weight)
        nn.init.zeros_(self.net[-1].bias)
        # learned size of scale and shift
        self.gain = nn.Parameter(torch.zeros(2))

    def forward(self, x):
        xa, xb = x.chunk(2, dim=1)
        if self.flip:
            xa, xb = xb, xa
        s, t = (self.gain * self.net(xa)).chunk(2, dim=1)
        s = 2 * torch.tanh(s / 2)
        zb = xb * torch.exp(s) + t
        z = torch.cat([zb, xa], 1) if self.flip else torch.cat([xa, zb], 1)
        return z, s.sum(1)


class Flow(nn.Module):
    def __init__(self, n_layers=6):
        super().__init__()
        self.couplings = nn.ModuleList([Coupling(flip=i % 2 == 1) for i in range(n_layers)])

    def forward(self, x):
        logdet = torch.zeros(len(x))
        for c in self.couplings:
            x, ld = c(x)
            logdet = logdet + ld
        log_pz = -0.5 * (x ** 2).sum(1) - math.log(2 * math.pi)
        return log_pz + logdet  # log p(x), one number per sample


def model():
    return Flow()


def data():
    for i in torch.randperm(len(train_x)).split(128):
        yield train_x[i], torch.zeros(len(i))  # no labels in density estimation


def loss(log_px, _):
    return -log_px.mean()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
