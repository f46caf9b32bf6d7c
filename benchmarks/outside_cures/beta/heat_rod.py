"""Heat in a rod, u_t = u_xx with u(x, 0) = sin(pi x). Hard boundary conditions, residual loss only."""

import math

import torch
from torch import nn


class Rod(nn.Module):
    def __init__(self, width=40):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(2, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1)
        )
        nn.init.zeros_(self.net[-1].weight)

    def u(self, x, t):
        free = self.net(torch.cat([x, 10 * t], 1))
        return torch.sin(math.pi * x) * (1 + 10 * t * free)

    def forward(self, xt):
        with torch.enable_grad():
            x, t = (c.detach().requires_grad_(True) for c in xt.split(1, 1))
            u = self.u(x, t)
            u_x, u_t = torch.autograd.grad(u.sum(), (x, t), create_graph=True)
            u_xx = torch.autograd.grad(u_x.sum(), x, create_graph=True)[0]
        return u_t - u_xx


def model():
    return Rod()


_g = torch.Generator().manual_seed(0)
points = torch.rand(800, 2, generator=_g) * torch.tensor([1.0, 0.2])


def data(seed=0):
    for i in torch.randperm(800, generator=torch.Generator().manual_seed(seed)).split(80):
        yield points[i], torch.zeros(len(i), 1)


def loss(residual, zero):
    return ((residual - zero) ** 2).mean()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
