"""The physicists want the loss in joules, so everything is multiplied by 1e-6.

Adam does not care as long as eps is far below the gradients.
"""

import torch
from torch import nn

MICRO = 1e-6


def spring(x):
    return 0.5 * (x**2).sum(-1, keepdim=True) + torch.sin(3 * x[:, :1])


def batch():
    x = torch.randn(128, 3)
    return x, spring(x)


def model():
    return nn.Sequential(
        nn.Linear(3, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 1)
    )


def loss(output, target):
    return MICRO * nn.functional.mse_loss(output, target)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3, eps=1e-16)
