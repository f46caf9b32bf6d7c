"""Steady temperature of a heated rod, T(0) = T(1) = 0, by a physics-informed network.

    k T''(x) + q(x) = 0,      k = 0.5

The network gives T and T'' so that the residual can be formed in the loss.
Exercise 3 of the course, extended with a measured source q.
"""
import math

import torch
from torch import nn

K = 0.5


def true_temperature(x):
    return torch.sin(math.pi * x) + 0.4 * torch.sin(2 * math.pi * x)


def source(x):
    return K * (math.pi**2 * torch.sin(math.pi * x) + 1.6 * math.pi**2 * torch.sin(2 * math.pi * x))


class RodNet(nn.Module):
    def __init__(self, width=48, hidden_layers=3):
        super().__init__()
        self.inp = nn.Linear(1, width)
        self.hidden = nn.ModuleList([nn.Linear(width, width) for _ in range(hidden_layers)])
        self.out = nn.Linear(width, 1)
        for layer in [self.inp, *self.hidden]:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="leaky_relu", a=0.01)

    def temperature(self, x):
        h = nn.functional.leaky_relu(self.inp(x))
        for layer in self.hidden:
            h = nn.functional.leaky_relu(layer(h))
        return self.out(h)

    def forward(self, x):
        with torch.enable_grad():
            x = x.requires_grad_(True)
            T = self.temperature(x)
            T_x = torch.autograd.grad(T.sum(), x, create_graph=True)[0]
            if T_x.requires_grad:
                T_xx = torch.autograd.grad(T_x.sum(), x, create_graph=True, allow_unused=True)[0]
            else:
                T_xx = None
        if T_xx is None:
            T_xx = torch.zeros_like(T)
        return torch.cat([T, T_xx], dim=1)


def model():
    return RodNet()


def data():
    """Collocation points, fresh each epoch; the last two rows are the ends of the rod."""
    for _ in range(50):
        x = torch.cat([torch.rand(96, 1), torch.tensor([[0.0], [1.0]])])
        end = torch.zeros(98, 1)
        end[-2:] = 1
        yield x, torch.cat([source(x), end], dim=1)


def loss(out, target):
    T, T_xx = out[:, 0], out[:, 1]
    q, end = target[:, 0], target[:, 1]
    residual = ((K * T_xx + q) ** 2 * (1 - end)).sum() / (1 - end).sum()
    boundary = (T**2 * end).sum() / end.sum()
    return residual + 10 * boundary


def optimizer(net):
    return torch.optim.Adam(net.parameters(), lr=2e-3)
