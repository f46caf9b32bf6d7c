"""Insurance claim severity, gamma GLM with a small neural predictor (log link)."""

import torch
from torch import nn


class ClaimSize(nn.Module):
    def __init__(self):
        super().__init__()
        self.eta = nn.Sequential(nn.Linear(7, 32), nn.SiLU(), nn.Linear(32, 1))
        self.log_shape = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return torch.cat([self.eta(x), self.log_shape.expand(len(x), 1)], dim=1)


def batch(n=256):
    x = torch.randn(n, 7)
    mean = torch.exp(1.0 + 0.6 * x[:, 0] - 0.4 * x[:, 1] * x[:, 2])
    return x, torch.distributions.Gamma(2.0, 2.0 / mean).sample()


def loss(out, claim):
    shape = out[:, 1].exp()
    rate = shape * torch.exp(-out[:, 0])
    return -torch.distributions.Gamma(shape, rate).log_prob(claim).mean()


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=5e-3)
