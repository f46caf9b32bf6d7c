"""RealNVP on daily (level, discharge, temperature) readings of a gauge."""
import math

import torch
import torch.nn as nn

DIM = 3


def readings(n, seed):
    g = torch.Generator().manual_seed(seed)
    season = 2 * math.pi * torch.rand(n, generator=g)
    level = 180 + 60 * torch.sin(season) + 10 * torch.randn(n, generator=g)
    discharge = 0.9 * (level - 80) + 20 * torch.sin(2 * season) + 6 * torch.randn(n, generator=g)
    temp = 11 - 8 * torch.cos(season) + torch.randn(n, generator=g)
    return torch.stack([level, discharge, temp], 1)


train = readings(3000, 1)


class Coupling(nn.Module):
    def __init__(self, mask, hidden=48):
        super().__init__()
        self.register_buffer("mask", mask)
        self.net = nn.Sequential(
            nn.Linear(DIM, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(),
            nn.Linear(hidden, 2 * DIM),
        )

    def forward(self, x):
        keep = x * self.mask
        s, t = self.net(keep).chunk(2, dim=1)
        s, t = s * (1 - self.mask), t * (1 - self.mask)
        return keep + (1 - self.mask) * (x * torch.exp(s) + t), s.sum(1)


class Flow(nn.Module):
    def __init__(self, n_layers=9):
        super().__init__()
        eye = torch.eye(DIM)
        self.layers = nn.ModuleList(Coupling(1 - eye[i % DIM]) for i in range(n_layers))

    def forward(self, x):
        logdet = x.new_zeros(len(x))
        for layer in self.layers:
            x, ld = layer(x)
            logdet = logdet + ld
        return x, logdet


def model():
    return Flow()


def data():
    for i in torch.randperm(len(train)).split(100):
        yield train[i], train[i]


def loss(output, _):
    z, logdet = output
    logp = -0.5 * (z**2).sum(1) - 0.5 * DIM * math.log(2 * math.pi)
    return -(logp + logdet).mean()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
