"""Joint density of daily returns of two correlated assets with fat tails (standardised)."""
import math
import torch
from torch import nn


class Coupling(nn.Module):
    def __init__(self, flip, h=48):
        super().__init__()
        self.flip = flip
        self.net = nn.Sequential(nn.Linear(1, h), nn.Tanh(), nn.Linear(h, h), nn.Tanh(), nn.Linear(h, 2))
        self.net[-1].weight.data.zero_()
        self.net[-1].bias.data.zero_()

    def forward(self, x):
        a, b = x.chunk(2, 1)
        if self.flip:
            a, b = b, a
        s, t = self.net(a).chunk(2, 1)
        s = 2 * torch.tanh(s / 2)
        b = b * s.exp() + t
        out = torch.cat([b, a] if self.flip else [a, b], 1)
        return out, s.squeeze(1)


class RealNVP(nn.Module):
    def __init__(self, k=6):
        super().__init__()
        self.layers = nn.ModuleList(Coupling(i % 2 == 1) for i in range(k))

    def forward(self, x):
        logdet = 0
        for layer in self.layers:
            x, ld = layer(x)
            logdet = logdet + ld
        return -0.5 * (x ** 2).sum(1) - math.log(2 * math.pi) + logdet


def batch(n=256):
    z = torch.randn(n, 2)
    vol = torch.exp(0.6 * torch.randn(n, 1))
    r = vol * torch.stack([z[:, 0], 0.8 * z[:, 0] + 0.3 * z[:, 1]], 1)
    return r / 1.4, torch.zeros(n)


def loss(logp, _):
    return -logp.mean()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
