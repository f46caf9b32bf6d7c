"""Energy model of a spiral by noise-contrastive estimation."""

import torch
from torch import nn


class Energy(nn.Module):
    def __init__(self, h=96):
        super().__init__()
        self.f = nn.Sequential(
            nn.Linear(2, h),
            nn.SiLU(),
            nn.Linear(h, h),
            nn.SiLU(),
            nn.Linear(h, h),
            nn.SiLU(),
            nn.Linear(h, 1),
        )
        self.log_z = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return -self.f(x).squeeze(-1) - self.log_z


noise = torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2) * 1.0)


def spiral(n):
    t = torch.rand(n).sqrt() * 9
    p = torch.stack([t * t.cos(), t * t.sin()], 1) / 5
    return p + 0.05 * torch.randn(n, 2)


def batch(n=256):
    x = torch.cat([spiral(n), noise.sample((n,))])
    return x, torch.cat([torch.ones(n), torch.zeros(n)])


class NCE(nn.Module):
    """Logit of 'this point is data and not noise'."""

    def __init__(self):
        super().__init__()
        self.energy = Energy()

    def forward(self, x):
        return self.energy(x) - noise.log_prob(x)


criterion = nn.BCEWithLogitsLoss()


def model():
    return NCE()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
