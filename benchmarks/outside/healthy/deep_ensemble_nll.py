"""Five networks at once by vmap-free batched matmuls, Gaussian negative log likelihood."""

import torch
from torch import nn


class EnsembleLinear(nn.Module):
    def __init__(self, members, i, o):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(members, i, o) * (2 / i) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(members, 1, o))

    def forward(self, x):
        return torch.baddbmm(self.bias, x, self.weight)


class Ensemble(nn.Module):
    def __init__(self, members=5, h=50):
        super().__init__()
        self.members = members
        self.l1 = EnsembleLinear(members, 1, h)
        self.l2 = EnsembleLinear(members, h, h)
        self.l3 = EnsembleLinear(members, h, 2)

    def forward(self, x):
        x = x.expand(self.members, *x.shape)
        h = torch.relu(self.l2(torch.relu(self.l1(x))))
        mean, raw = self.l3(h).chunk(2, -1)
        return mean, nn.functional.softplus(raw) + 1e-3


def model():
    return Ensemble()


def batch(n=100):
    x = torch.rand(n, 1) * 4 - 2
    return x, torch.sin(2 * x) + (0.05 + 0.15 * x.abs()) * torch.randn(n, 1)


def loss(output, target):
    mean, var = output
    return nn.functional.gaussian_nll_loss(mean, target.expand_as(mean), var)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
