import math

import torch
from torch import nn

D, K = 20, 5


class MDN(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(2, 64), nn.Tanh())
        self.pi = nn.Linear(64, K)
        self.mu = nn.Linear(64, K * D)
        self.log_sigma = nn.Linear(64, K)

    def forward(self, x):
        h = self.trunk(x)
        pi = torch.softmax(self.pi(h), dim=1)
        return pi, self.mu(h).view(-1, K, D), torch.exp(self.log_sigma(h)).unsqueeze(-1)


def loss(params, y):
    pi, mu, sigma = params
    logd = (
        -0.5 * ((y[:, None] - mu) / sigma) ** 2 - sigma.log() - 0.5 * math.log(2 * math.pi)
    ).sum(2)
    density = torch.exp(logd)
    return -torch.log((pi * density).sum(1)).mean()


def batch(n=128):
    x = torch.rand(n, 2) * 2 - 1
    base = torch.arange(D).float()
    y = 10 * torch.sin(base * 0.5 + 3 * x[:, :1]) + 0.3 * torch.randn(n, D)
    return x, y


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
