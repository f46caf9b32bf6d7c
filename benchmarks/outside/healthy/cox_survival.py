"""DeepSurv: negative Cox partial likelihood over a batch, a third of the patients censored."""

import torch
from torch import nn


class DeepSurv(nn.Module):
    def __init__(self, d=10):
        super().__init__()
        self.risk = nn.Sequential(
            nn.Linear(d, 32),
            nn.BatchNorm1d(32),
            nn.SELU(),
            nn.Dropout(0.2),
            nn.Linear(32, 32),
            nn.BatchNorm1d(32),
            nn.SELU(),
            nn.Linear(32, 1, bias=False),
        )

    def forward(self, x):
        return self.risk(x).squeeze(-1)


def cox(log_risk, target):
    time, event = target
    order = time.argsort(descending=True)
    r, e = log_risk[order], event[order]
    return -((r - torch.logcumsumexp(r, 0)) * e).sum() / e.sum()


loss = cox


def batch(n=256):
    x = torch.randn(n, 10)
    hazard = torch.exp(1.2 * x[:, 0] + x[:, 1] * x[:, 2])
    t = -torch.rand(n).log() / hazard
    c = -torch.rand(n).log() * 2.0
    return x, (torch.minimum(t, c), (t <= c).float())


def model():
    return DeepSurv()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
