"""SIREN (Sitzmann et al. 2020): a picture as a function of its coordinates."""
import math

import torch
from torch import nn

SIDE = 48


def picture(xy):
    x, y = xy[..., 0], xy[..., 1]
    r = (x * x + y * y).sqrt()
    return 0.5 * torch.sin(14 * r) + 0.3 * torch.cos(9 * x + 4 * y) + 0.4 * torch.exp(-20 * ((x - 0.4) ** 2 + (y + 0.3) ** 2))


_axis = torch.linspace(-1, 1, SIDE)
GRID = torch.cartesian_prod(_axis, _axis)
GREY = picture(GRID)[:, None]


class Sine(nn.Module):
    """sin(omega (Wx + b)) with the initialisation of the paper"""

    def __init__(self, n_in, n_out, omega=30.0, first=False):
        super().__init__()
        bound = 1 / n_in if first else math.sqrt(6 / n_in) / omega
        self.W = nn.Parameter(torch.empty(n_out, n_in).uniform_(-bound, bound))
        self.b = nn.Parameter(torch.empty(n_out).uniform_(-bound, bound))
        self.omega = omega

    def forward(self, x):
        return torch.sin(self.omega * (x @ self.W.T + self.b))


def model():
    return nn.Sequential(Sine(2, 64, first=True), Sine(64, 64), Sine(64, 64), Sine(64, 64), nn.Linear(64, 1))


def data():
    for idx in torch.randperm(len(GRID)).split(192):
        yield GRID[idx], GREY[idx]


def loss(output, target):
    return ((output - target) ** 2).mean()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-4)
