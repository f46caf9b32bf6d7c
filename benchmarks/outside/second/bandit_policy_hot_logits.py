"""Contextual bandit, exact policy gradient: maximise the expected reward under the policy."""

import torch
from torch import nn


def ortho(layer, gain):
    nn.init.orthogonal_(layer.weight, gain=gain)
    nn.init.zeros_(layer.bias)
    return layer


class Policy(nn.Module):
    def __init__(self, obs=6, actions=5):
        super().__init__()
        self.net = nn.Sequential(
            ortho(nn.Linear(obs, 64), 2**0.5),
            nn.Tanh(),
            ortho(nn.Linear(64, 64), 2**0.5),
            nn.Tanh(),
            ortho(nn.Linear(64, actions), gain=3000.0),
        )

    def forward(self, s):
        return torch.softmax(self.net(s), dim=-1)


torch.manual_seed(2)
PAYOFF = torch.randn(6, 5)


def batch(n=128):
    s = torch.randn(n, 6)
    return s, torch.tanh(s @ PAYOFF)


def loss(pi, reward):
    return -(pi * reward).sum(1).mean()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
