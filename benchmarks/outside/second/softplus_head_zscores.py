"""Winter temperature anomalies (deg C below the norm) from eight station readings."""

import torch
import torch.nn.functional as F
from torch import nn


class TempNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.inp = nn.Linear(8, 48)
        self.mid = nn.Linear(48, 48)
        self.out = nn.Linear(48, 1)

    def forward(self, x):
        h = F.relu(self.inp(x))
        h = F.relu(self.mid(h))
        return F.softplus(self.out(h)).squeeze(-1)


def batch(n=128):
    x = torch.randn(n, 8)
    y = -2.5 + torch.tanh(x[:, 0] * x[:, 1]) + 0.6 * torch.sin(2 * x[:, 2])
    return x, y


def loss(pred, y):
    return F.mse_loss(pred, y)


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=2e-3)
