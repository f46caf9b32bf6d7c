"""SIREN (Sitzmann et al. 2020): fit a picture as a function of its coordinates."""
import math

import torch
from torch import nn

OMEGA = 30.0
SIDE = 64


class Sine(nn.Module):
    def __init__(self, n_in, n_out, first=False):
        super().__init__()
        self.linear = nn.Linear(n_in, n_out)
        bound = 1 / n_in if first else math.sqrt(6 / n_in) / OMEGA
        nn.init.uniform_(self.linear.weight, -bound, bound)

    def forward(self, x):
        return torch.sin(OMEGA * self.linear(x))


class Siren(nn.Module):
    def __init__(self, hidden=64, layers=3):
        super().__init__()
        self.net = nn.ModuleList([Sine(2, hidden, first=True)])
        for _ in range(layers - 1):
            self.net.append(Sine(hidden, hidden))
        self.last = nn.Linear(hidden, 1)

    def forward(self, xy):
        for layer in self.net:
            xy = layer(xy)
        return self.last(xy)


def model():
    return Siren()


def picture():
    r = torch.linspace(-1, 1, SIDE)
    yy, xx = torch.meshgrid(r, r, indexing="ij")
    img = torch.sin(9 * xx + 3 * yy**2) * torch.cos(7 * yy) + 0.7 * (xx**2 + yy**2 < 0.3).float()
    coords = torch.stack([xx, yy], -1).reshape(-1, 2)
    return coords, img.reshape(-1, 1)


coords, values = picture()
shuffle = torch.randperm(SIDE * SIDE, generator=torch.Generator().manual_seed(1))
train, test = shuffle[:3200], shuffle[3200:]


def data():
    for b in train[torch.randperm(len(train))].split(400):
        yield coords[b], values[b]


def loss(output, target):
    return ((output - target) ** 2).mean()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
