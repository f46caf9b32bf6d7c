"""Differentiable simulator: a network chooses the throw so that the ball lands on the target."""

import torch
from torch import nn


def simulate(v, drag=0.1, dt=0.03, steps=60):
    pos = torch.zeros_like(v)
    g = torch.tensor([0.0, -2.0])
    for _ in range(steps):
        v = v + dt * (g - drag * v * v.norm(dim=1, keepdim=True))
        pos = pos + dt * v
    return pos


class Thrower(nn.Module):
    def __init__(self):
        super().__init__()
        self.policy = nn.Sequential(nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh())
        self.speed = nn.Linear(64, 2)

    def forward(self, target):
        return simulate(self.speed(self.policy(target)))


def model():
    return Thrower()


def batch():
    t = torch.rand(64, 2) * 2 - 1
    return t, t


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
