"""Glow step: ActNorm, invertible linear map (slogdet), affine coupling with zero last layer."""

import math

import torch
from sklearn.datasets import load_digits
from torch import nn


class ActNorm(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.loc = nn.Parameter(torch.zeros(d))
        self.log_scale = nn.Parameter(torch.zeros(d))

    def forward(self, x):
        return (x + self.loc) * self.log_scale.exp(), self.log_scale.sum()


class InvLinear(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.w = nn.Parameter(torch.linalg.qr(torch.randn(d, d))[0])

    def forward(self, x):
        return x @ self.w, torch.linalg.slogdet(self.w)[1]


class AffineCoupling(nn.Module):
    def __init__(self, d, h):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(d // 2, h), nn.ReLU(), nn.Linear(h, h), nn.ReLU())
        self.last = nn.Linear(h, d)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x):
        a, b = x.chunk(2, -1)
        log_s, t = self.last(self.body(a)).chunk(2, -1)
        s = torch.sigmoid(log_s + 2.0)
        return torch.cat([a, (b + t) * s], -1), s.log().sum(-1)


class Glow(nn.Module):
    def __init__(self, d=64, steps=6):
        super().__init__()
        mods = []
        for _ in range(steps):
            mods += [ActNorm(d), InvLinear(d), AffineCoupling(d, 96)]
        self.flow = nn.ModuleList(mods)

    def forward(self, x):
        logdet = 0.0
        for f in self.flow:
            x, ld = f(x)
            logdet = logdet + ld
        ll = -0.5 * (x**2 + math.log(2 * math.pi)).sum(-1) + logdet
        return -ll / x.shape[-1]


def model():
    return Glow()


def batch():
    x = torch.tensor(load_digits().data, dtype=torch.float32)[torch.randint(1797, (128,))]
    x = (x + torch.rand_like(x)) / 17
    return (x - 0.3) / 0.36, torch.zeros(128)


def loss(bits, target):
    return bits.mean()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
