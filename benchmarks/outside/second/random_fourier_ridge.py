import math

import torch
from torch import nn


class RFF(nn.Module):
    def __init__(self, n_in=3, n_feat=400, gamma=1.2):
        super().__init__()
        self.omega = nn.Parameter(gamma * torch.randn(n_in, n_feat), requires_grad=False)
        self.phase = nn.Parameter(2 * math.pi * torch.rand(n_feat), requires_grad=False)
        self.beta = nn.Parameter(torch.zeros(n_feat))

    def forward(self, x):
        z = math.sqrt(2 / self.beta.numel()) * torch.cos(x @ self.omega + self.phase)
        return z @ self.beta


model = RFF()


def batch(n=256):
    x = torch.randn(n, 3)
    return x, torch.sin(2 * x[:, 0]) * x[:, 1] + 0.3 * x[:, 2]


def loss(f, y):
    return ((f - y) ** 2).mean() + 1e-5 * model.beta.pow(2).sum()


def optimizer(net):
    return torch.optim.SGD([net.beta], lr=0.5)
