"""Mean and spread of daily returns from ten indicators, Gaussian log likelihood by hand."""
import math

import torch
from torch import nn


class VolatilityNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(10, 32), nn.ReLU())
        self.mu = nn.Linear(32, 1)
        self.sigma = nn.Linear(32, 1)

    def forward(self, x):
        h = self.trunk(x)
        return torch.cat([self.mu(h), torch.relu(self.sigma(h))], dim=1)


def loss(output, target):
    mu, sigma = output[:, :1], output[:, 1:]
    return (torch.log(sigma) + 0.5 * ((target - mu) / sigma) ** 2 + 0.5 * math.log(2 * math.pi)).mean()


def batch(n=128):
    x = torch.randn(n, 10)
    spread = torch.exp(0.5 * x[:, :1])
    return x, x[:, 1:2] + spread * torch.randn(n, 1)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
