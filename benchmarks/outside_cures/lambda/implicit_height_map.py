"""Implicit neural representation of a terrain patch: (lon, lat) -> height.

Instead of a raster of heights we keep the weights of a small sine network (after SIREN).
Survey points are scattered, coordinates go from -1 to 1, heights have zero mean and unit variance.
"""
import math
import torch
from torch import nn


def terrain(xy):
    x, y = xy.unbind(-1)
    h = torch.sin(5 * x + 2 * y) + 0.7 * torch.cos(9 * y - 3 * x) + 0.5 * torch.sin(12 * x * y)
    h = h + 0.8 * torch.exp(-((x - 0.3) ** 2 + (y + 0.2) ** 2) / 0.03)
    return (h - 0.06) / 0.98


def survey(n, seed):
    g = torch.Generator().manual_seed(seed)
    xy = 2 * torch.rand(n, 2, generator=g) - 1
    return xy, terrain(xy).unsqueeze(-1)


class Sine(nn.Module):
    def __init__(self, in_features, out_features, w0=30.0):
        super().__init__()
        self.w0 = w0
        self.linear = nn.Linear(in_features, out_features)
        nn.init.xavier_uniform_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x):
        return torch.sin(self.w0 * self.linear(x))


class HeightField(nn.Module):
    def __init__(self, width=64, hidden=3, w0=30.0):
        super().__init__()
        # moderate first frequency, the terrain is smooth
        layers = [Sine(2, width, w0=6.0)]
        layers += [Sine(width, width, w0=w0) for _ in range(hidden)]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(width, 1)

    def forward(self, xy):
        return self.head(self.body(xy))


def model():
    return HeightField()


XY, H = survey(4000, seed=8)


def data():
    order = torch.randperm(len(XY))
    for k in range(0, len(order), 200):
        pick = order[k:k + 200]
        yield XY[pick], H[pick]


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
