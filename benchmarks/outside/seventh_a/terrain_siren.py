"""Coordinate network for a digital elevation model (one tile, heights scaled to +-1)."""
import torch
from torch import nn


class Sine(nn.Module):
    def __init__(self, w0=30.0):
        super().__init__()
        self.w0 = w0

    def forward(self, x):
        return torch.sin(self.w0 * x)


def make_model(hidden=64, depth=5):
    layers = [nn.Linear(2, hidden), Sine()]
    for _ in range(depth):
        layers += [nn.Linear(hidden, hidden), Sine()]
    layers += [nn.Linear(hidden, 1)]
    return nn.Sequential(*layers)


def elevation(xy):
    x, y = xy[:, 0], xy[:, 1]
    ridge = torch.exp(-((y - 0.4 * torch.sin(3 * x)) / 0.15) ** 2)
    return (ridge + 0.3 * torch.sin(7 * x) * torch.cos(9 * y) - 0.3).unsqueeze(1)


def batch(n=512):
    xy = torch.rand(n, 2) * 2 - 1
    return xy, elevation(xy)


loss = nn.functional.mse_loss


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-4)
