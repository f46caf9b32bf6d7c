import copy

import torch
from torch import nn
import torch.nn.functional as F

GAMMA = 0.95


class DQN(nn.Module):
    def __init__(self, obs=4, actions=3):
        super().__init__()
        self.q = nn.Sequential(nn.Linear(obs, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, actions))
        self.target = copy.deepcopy(self.q)
        for p in self.target.parameters():
            p.requires_grad = False

    def forward(self, s, a, r, s2, done):
        q_sa = self.q(s).gather(1, a[:, None]).squeeze(1)
        with torch.no_grad():
            backup = r + GAMMA * (1 - done) * self.target(s2).max(1).values
        return q_sa, backup


def loss(output, _):
    q_sa, backup = output
    return F.smooth_l1_loss(q_sa, backup)


def batch(n=128):
    s = torch.randn(n, 4)
    a = torch.randint(0, 3, (n,))
    push = (a - 1).float()
    s2 = s.clone()
    s2[:, 0] = s[:, 0] + 0.3 * s[:, 1]
    s2[:, 1] = 0.9 * s[:, 1] + 0.5 * push
    r = 1 - s2[:, 0].abs() - 0.1 * push.abs()
    done = (s2[:, 0].abs() > 2.5).float()
    return (s, a, r, s2, done), r


def optimizer(model):
    return torch.optim.Adam(model.q.parameters(), lr=1e-3)
