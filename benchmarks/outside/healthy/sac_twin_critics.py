"""Twin soft critics with a frozen target pair and a fixed stochastic actor."""

import copy

import torch
from torch import nn


def mlp(i, o, h=128):
    return nn.Sequential(nn.Linear(i, h), nn.ReLU(), nn.Linear(h, h), nn.ReLU(), nn.Linear(h, o))


class TwinQ(nn.Module):
    def __init__(self, s=5, a=2, alpha=0.2, gamma=0.95):
        super().__init__()
        self.q1, self.q2 = mlp(s + a, 1), mlp(s + a, 1)
        self.t1 = copy.deepcopy(self.q1).requires_grad_(False)
        self.t2 = copy.deepcopy(self.q2).requires_grad_(False)
        self.actor = mlp(s, 2 * a).requires_grad_(False)
        self.alpha, self.gamma = alpha, gamma

    @torch.no_grad()
    def backup(self, r, s2):
        mean, log_std = self.actor(s2).chunk(2, -1)
        dist = torch.distributions.Normal(mean, log_std.clamp(-5, 2).exp())
        u = dist.sample()
        a = u.tanh()
        logp = (dist.log_prob(u) - torch.log(1 - a**2 + 1e-6)).sum(-1, keepdim=True)
        x = torch.cat([s2, a], -1)
        return r + self.gamma * (torch.min(self.t1(x), self.t2(x)) - self.alpha * logp)

    def forward(self, s, a, r, s2):
        y = self.backup(r, s2)
        x = torch.cat([s, a], -1)
        mse = nn.functional.mse_loss
        return mse(self.q1(x), y) + mse(self.q2(x), y)


def model():
    return TwinQ()


def batch(n=256):
    s, a = torch.randn(n, 5), torch.rand(n, 2) * 2 - 1
    r = -((a - s[:, :2].tanh()) ** 2).sum(1, keepdim=True) * 2 + 1
    s2 = 0.9 * s + 0.4 * torch.randn(n, 5)
    return (s, a, r, s2), torch.zeros(())


def loss(output, _):
    return output


def optimizer(model):
    return torch.optim.Adam([*model.q1.parameters(), *model.q2.parameters()], lr=1e-3)
