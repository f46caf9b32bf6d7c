"""Actor of a DDPG agent; observation scaled to unit size, small last layer as in the paper."""
import torch
from torch import nn


class Actor(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1 = nn.Linear(4, 100)
        self.l2 = nn.Linear(100, 100)
        self.l3 = nn.Linear(100, 1)
        nn.init.uniform_(self.l3.weight, -3e-3, 3e-3)
        nn.init.uniform_(self.l3.bias, -3e-3, 3e-3)

    def forward(self, obs):
        x = torch.relu(self.l1(obs))
        x = torch.relu(self.l2(x))
        return torch.tanh(self.l3(x))


def batch(n=128):
    obs = torch.randn(n, 4)
    return obs, obs


def loss(action, obs):
    best = 0.8 * torch.tanh(obs[:, :1] - obs[:, 1:2] * obs[:, 2:3])
    q = -((action - best) ** 2)
    return -q.mean()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
