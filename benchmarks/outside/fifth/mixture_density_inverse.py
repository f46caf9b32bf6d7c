import math

import torch
from torch import nn


class MDN(nn.Module):
    def __init__(self, k=5):
        super().__init__()
        self.h = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh())
        self.pi, self.mu, self.logs = nn.Linear(32, k), nn.Linear(32, k), nn.Linear(32, k)

    def forward(self, x):
        h = self.h(x)
        return torch.log_softmax(self.pi(h), 1), self.mu(h), self.logs(h)


def batch():
    y = torch.rand(128, 1)
    x = y + 0.3 * torch.sin(2 * math.pi * y) + 0.03 * torch.randn(128, 1)
    return (x - 0.5) * 3, (y - 0.5) * 3


def loss(params, y):
    logpi, mu, logs = params
    logp = -0.5 * ((y - mu) / logs.exp()) ** 2 - logs - 0.5 * math.log(2 * math.pi)
    return -torch.logsumexp(logpi + logp, 1).mean()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
