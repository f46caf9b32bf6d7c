"""Surrogate of the compressor map: (mass flow, speed, blade angle) -> efficiency, pressure ratio.

CFD needs 40 minutes a point, this needs none. Periodic activations because of the surge ripples.
"""
import math

import torch
from torch import nn

OMEGA = 12.0


def cfd(n, seed):
    g = torch.Generator().manual_seed(seed)
    p = 2 * torch.rand(n, 3, generator=g) - 1  # already mapped to [-1, 1]
    flow, speed, angle = p.T
    ripple = torch.sin(9 * flow + 4 * speed) * torch.exp(-2 * (flow - speed) ** 2)
    eta = 1 - (flow - 0.6 * speed) ** 2 - 0.3 * angle**2 + 0.5 * ripple
    ratio = speed + 0.5 * speed**2 - 0.4 * flow * speed + 0.4 * torch.cos(6 * angle + 3 * flow)
    return p, torch.stack([eta, ratio], 1)


class Sine(nn.Module):
    def forward(self, x):
        return torch.sin(OMEGA * x)


def sine_layer(n_in, n_out, first=False):
    lin = nn.Linear(n_in, n_out)
    bound = 1 / n_in if first else math.sqrt(6 / n_in) / OMEGA
    with torch.no_grad():
        lin.weight.uniform_(-bound, bound)
    return nn.Sequential(lin, Sine())


class MapSurrogate(nn.Module):
    def __init__(self, width=64, depth=5):
        super().__init__()
        self.features = nn.Sequential(sine_layer(3, width, first=True), *[sine_layer(width, width) for _ in range(depth)])
        self.out = nn.Linear(width, 2)
        nn.init.uniform_(self.out.weight, -math.sqrt(6 / width) / OMEGA, math.sqrt(6 / width) / OMEGA)

    def forward(self, p):
        return self.out(self.features(p))


P, Q = cfd(4000, seed=30)


def model():
    return MapSurrogate()


def data():
    for i in torch.randperm(len(P)).split(200):
        yield P[i], Q[i]


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-4)
