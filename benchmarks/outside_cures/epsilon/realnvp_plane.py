"""RealNVP on 2-D detector hits (millimetres)."""
import math

import torch
from torch import nn


def hits(n, seed):
    g = torch.Generator().manual_seed(seed)
    phi = math.pi * torch.rand(n, generator=g)
    upper = torch.rand(n, generator=g) < 0.5
    x = torch.where(upper, phi.cos(), 1 - phi.cos())
    y = torch.where(upper, phi.sin(), 0.5 - phi.sin())
    p = torch.stack([x, y], 1) + 0.08 * torch.randn(n, 2, generator=g)
    return 150.0 * p + torch.tensor([220.0, 140.0])


class Coupling(nn.Module):
    def __init__(self, flip, hidden=64):
        super().__init__()
        self.flip = flip
        self.st = nn.Sequential(nn.Linear(1, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 2))

    def forward(self, x):
        a, b = x[:, :1], x[:, 1:]
        if self.flip:
            a, b = b, a
        s, t = self.st(a).chunk(2, dim=1)
        b = b * torch.exp(s) + t
        out = torch.cat([b, a] if self.flip else [a, b], dim=1)
        return out, s.squeeze(1)


class RealNVP(nn.Module):
    def __init__(self, n_layers=6):
        super().__init__()
        self.layers = nn.ModuleList(Coupling(flip=i % 2 == 1) for i in range(n_layers))

    def forward(self, x):
        log_det = x.new_zeros(len(x))
        for layer in self.layers:
            x, ld = layer(x)
            log_det = log_det + ld
        return x, log_det


class NegLogLikelihood(nn.Module):
    def forward(self, output, _):
        z, log_det = output
        logp = -0.5 * (z**2).sum(1) - math.log(2 * math.pi)
        return -(logp + log_det).mean()


train_x = hits(4000, 0)


def model():
    return RealNVP()


def data():
    for i in torch.randperm(len(train_x)).split(128):
        yield train_x[i], torch.zeros(len(i))  # there is no target


loss = NegLogLikelihood()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
