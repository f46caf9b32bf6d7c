"""Mixture density network: arrival times after a delay that may take one of two routes."""

import math

import torch
from torch import nn


def make(n, seed):
    g = torch.Generator().manual_seed(seed)
    x = torch.rand(n, 1, generator=g) * 2 - 1
    route = (torch.rand(n, 1, generator=g) < 0.4).float()
    y = 40 + 12 * x + route * 25 + 1.5 * torch.randn(n, 1, generator=g)
    return x, y


class MDN(nn.Module):
    def __init__(self, hidden=48, parts=4):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(1, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh())
        self.mix = nn.Linear(hidden, parts)
        self.mean = nn.Linear(hidden, parts)
        self.log_sigma = nn.Linear(hidden, parts)

    def forward(self, x):
        h = self.body(x)
        return torch.stack([self.mix(h).log_softmax(-1), self.mean(h), self.log_sigma(h)], -1)


def loss(output, target):
    log_mix, mean, log_sigma = output.unbind(-1)
    sigma = log_sigma.exp()
    density = torch.exp(-0.5 * ((target - mean) / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi))
    likelihood = (log_mix.exp() * density).sum(-1)
    return -torch.log(likelihood + 1e-12).mean()


def model():
    return MDN()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)


inputs, arrivals = make(2000, 0)


def data(seed=0):
    g = torch.Generator().manual_seed(seed)
    for i in torch.randperm(2000, generator=g).split(100):
        yield inputs[i], arrivals[i]
