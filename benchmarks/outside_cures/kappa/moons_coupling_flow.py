# coding: utf-8
# Blog post draft: "RealNVP from scratch in 60 lines"
#
# Readers report that the loss goes down for a while and then explodes / turns into NaN.
import math

import torch
from sklearn.datasets import make_moons
from torch import nn

_pts, _ = make_moons(4000, noise=0.06, random_state=5)
points = torch.tensor(_pts, dtype=torch.float32)
points = (points - points.mean(0)) / points.std(0)
fit, keep = points[:3200], points[3200:]


class Coupling(nn.Module):
    def __init__(self, flip, width=64):
        super().__init__()
        self.flip = flip
        self.s = nn.Sequential(nn.Linear(1, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))
        self.t = nn.Sequential(nn.Linear(1, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, x):
        a, b = x[:, :1], x[:, 1:]
        if self.flip:
            a, b = b, a
        s, t = self.s(a), self.t(a)
        b = b * torch.exp(s) + t
        out = torch.cat([b, a] if self.flip else [a, b], dim=1)
        return out, s.squeeze(1)


class RealNVP(nn.Module):
    def __init__(self, n_layers=10):
        super().__init__()
        self.layers = nn.ModuleList([Coupling(flip=bool(i % 2)) for i in range(n_layers)])

    def forward(self, x):
        log_det = x.new_zeros(len(x))
        for layer in self.layers:
            x, ld = layer(x)
            log_det = log_det + ld
        return x, log_det


def nll(output, _=None):
    z, log_det = output
    log_pz = -0.5 * (z ** 2).sum(1) - math.log(2 * math.pi)
    return -(log_pz + log_det).mean()


loss = nll
data = [(b, b) for b in fit.split(128)]


def model():
    return RealNVP()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
