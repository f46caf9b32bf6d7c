"""Implicit neural representation with periodic activations."""
import torch
from torch import nn


class Sine(nn.Module):
    def __init__(self, i, o, omega=30.0):
        super().__init__()
        self.omega = omega
        self.lin = nn.Linear(i, o)

    def forward(self, x):
        return torch.sin(self.omega * self.lin(x))


class Siren(nn.Module):
    def __init__(self, width=64, hidden=3):
        super().__init__()
        self.net = nn.Sequential(Sine(2, width), *[Sine(width, width) for _ in range(hidden)], nn.Linear(width, 1))
        self.init_weights()

    @torch.no_grad()
    def init_weights(self):
        for m in self.net:
            if isinstance(m, Sine):
                n = m.lin.in_features
                m.lin.weight.uniform_(-1 / n ** 0.5, 1 / n ** 0.5)

    def forward(self, xy):
        return self.net(xy)


def scene(xy):
    x, y = xy[:, :1], xy[:, 1:]
    return torch.sin(6 * x) * torch.cos(5 * y) + 0.5 * torch.exp(-8 * (x ** 2 + y ** 2))


def batch():
    xy = torch.rand(512, 2) * 2 - 1
    return xy, scene(xy)


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
