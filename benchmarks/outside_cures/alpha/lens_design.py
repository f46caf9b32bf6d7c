"""Surrogate for a ray tracer: spot size (metres^2!) of a lens from six curvatures."""
import torch
from torch import nn


def trace(n, seed):
    g = torch.Generator().manual_seed(seed)
    c = torch.rand(n, 6, generator=g) * 2 - 1
    spot = (
        (c[:, 0] - c[:, 1] * c[:, 2]) ** 2
        + torch.cos(2 * c[:, 3]) * c[:, 4]
        + 0.5 * c[:, 5]
        + 0.03 * torch.randn(n, generator=g)
    )
    return c, 1e-3 * spot.unsqueeze(1)


C, SPOT = trace(3000, seed=1)


class Surrogate(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.width = width
        self.l1 = nn.Linear(6, width)
        self.l2 = nn.Linear(width, width)
        self.l3 = nn.Linear(width, 1)

    def forward(self, c):
        h = nn.functional.silu(self.l1(c))
        h = nn.functional.silu(self.l2(h))
        return 1e-3 * self.l3(h)


def model():
    return Surrogate()


def data():
    for i in torch.randperm(len(C)).split(75):
        yield C[i], SPOT[i]


def loss(out, spot):
    return (out - spot).square().mean()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2, eps=1e-16)
