import torch
from torch import nn


class Bandit(nn.Module):
    """Contextual bandit with full feedback: maximise sum_a pi(a|s) r(s, a)."""

    def __init__(self, n_ctx=8, n_arms=6, tau=0.002):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(n_ctx, 64), nn.ReLU(), nn.Linear(64, n_arms))
        self.tau = tau

    def forward(self, s):
        return torch.softmax(self.net(s) / self.tau, dim=-1)


R = torch.randn(8, 6, generator=torch.Generator().manual_seed(21))


def batch(n=128):
    s = torch.randn(n, 8)
    reward = torch.zeros(n, 6)
    reward[torch.arange(n), (s @ R).argmax(1)] = 1.0
    return s, reward


def loss(pi, reward):
    return -(pi * reward).sum(dim=1).mean()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.5)
