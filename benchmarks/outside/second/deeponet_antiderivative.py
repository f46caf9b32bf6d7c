import torch
from torch import nn


def mlp(*sizes):
    mods = []
    for a, b in zip(sizes, sizes[1:]):
        mods += [nn.Linear(a, b), nn.Tanh()]
    return nn.Sequential(*mods[:-1])


class DeepONet(nn.Module):
    """u(.) -> integral of u from 0 to y; 20 sensors."""

    def __init__(self, p=32):
        super().__init__()
        self.branch, self.trunk = mlp(20, 64, 64, p), mlp(1, 64, 64, p)
        self.b0 = nn.Parameter(torch.zeros(1))

    def forward(self, uy):
        return (self.branch(uy[:, :20]) * self.trunk(uy[:, 20:])).sum(1) + self.b0


def batch(n=256):
    coef = torch.randn(n, 3)
    s = torch.linspace(0, 1, 20)
    k = torch.tensor([1.0, 2.0, 3.0])
    u = (coef[:, :, None] * torch.cos(k[:, None] * 3.1416 * s)).sum(1)
    y = torch.rand(n, 1)
    integral = (coef * torch.sin(k * 3.1416 * y) / (k * 3.1416)).sum(1)
    return torch.cat([u, y], 1), integral


def loss(pred, true):
    return ((pred - true) ** 2).mean() / 0.03


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
