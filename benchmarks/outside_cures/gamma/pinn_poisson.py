"""Physics-informed network for the 1D Poisson problem  u'' = f  on [0, 1]

    f(x) = -(pi^2) sin(pi x) - 4 (pi^2) sin(2 pi x) / 2,    u(0) = u(1) = 0
"""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F


def source(x):
    return -math.pi**2 * torch.sin(math.pi * x) - 2 * math.pi**2 * torch.sin(2 * math.pi * x)


class PINN(nn.Module):
    def __init__(self, width=48, depth=4):
        super().__init__()
        sizes = [1] + [width] * depth
        self.hidden = nn.ModuleList([nn.Linear(a, b) for a, b in zip(sizes[:-1], sizes[1:])])
        self.out = nn.Linear(width, 1)

    def u(self, x):
        for lin in self.hidden:
            x = F.relu(lin(x))
        return self.out(x)

    def forward(self, x):
        """residual at the collocation points, and both boundary values"""
        with torch.enable_grad():
            x = x.detach().requires_grad_(True)
            u = self.u(x)
            (du,) = torch.autograd.grad(u.sum(), x, create_graph=True)
            (d2u,) = torch.autograd.grad((du + 0 * x).sum(), x, create_graph=True)
        ends = self.u(torch.tensor([[0.0], [1.0]]))
        return torch.cat([d2u, ends.T.expand(len(x), 2)], dim=1)


def data():
    g = torch.Generator().manual_seed(11)
    points = torch.rand(1024, 1, generator=g)
    f = source(points)
    order = torch.randperm(len(points))
    for i in range(0, len(points), 128):
        j = order[i : i + 128]
        yield points[j], f[j]


def loss(output, target):
    residual = output[:, :1] - target
    boundary = output[:, 1:]
    return (residual**2).mean() / 100 + 10 * (boundary**2).mean()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
