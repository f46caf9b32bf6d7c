import copy

import torch
from torch import nn


def net():
    return nn.Sequential(
        nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1)
    )


class Critics(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.v = net(), net()
        self.q_target = copy.deepcopy(self.q).requires_grad_(False)

    def forward(self, transitions):
        s, a, s2 = transitions[:, :4], transitions[:, 4:6], transitions[:, 6:10]
        pad = torch.zeros(len(s), 2)
        with torch.no_grad():
            backup = self.v(torch.cat([s2, pad], 1))
            goal = self.q_target(torch.cat([s, a], 1))
        return torch.cat(
            [self.q(torch.cat([s, a], 1)), backup, self.v(torch.cat([s, pad], 1)), goal], 1
        )


def batch(n=256):
    s, a = torch.randn(n, 4), torch.rand(n, 2) * 2 - 1
    s2 = 0.9 * s + torch.cat([a, a], 1) * 0.1
    reward = 2 - (s[:, :2] - 2 * a).pow(2).sum(1) * 0.3
    return torch.cat([s, a, s2], 1), reward


def loss(out, reward, gamma=0.9, tau=0.7):
    q, backup, v, goal = out.unbind(1)
    u = goal - v
    expectile = ((tau - (u < 0).float()).abs() * u.pow(2)).mean()
    return (q - reward - gamma * backup).pow(2).mean() + expectile


def optimizer(m):
    return torch.optim.Adam([*m.q.parameters(), *m.v.parameters()], lr=1e-3)
