"""Masked autoregressive flow: three MADE blocks with reversed order in between."""

import torch
from torch import nn
from torch.nn import functional as F


class MaskedLinear(nn.Linear):
    def __init__(self, i, o, mask):
        super().__init__(i, o)
        self.register_buffer("mask", mask)

    def forward(self, x):
        return F.linear(x, self.weight * self.mask, self.bias)


class MADE(nn.Module):
    def __init__(self, d, h):
        super().__init__()
        m0 = torch.arange(1, d + 1)
        m1 = torch.arange(h) % (d - 1) + 1
        self.l1 = MaskedLinear(d, h, (m1[:, None] >= m0[None]).float())
        self.l2 = MaskedLinear(h, h, (m1[:, None] >= m1[None]).float())
        self.l3 = MaskedLinear(h, 2 * d, (m0.repeat(2)[:, None] > m1[None]).float())

    def forward(self, x):
        h = torch.relu(self.l2(torch.relu(self.l1(x))))
        mu, log_s = self.l3(h).chunk(2, -1)
        log_s = log_s.clamp(-5, 5)
        return (x - mu) * torch.exp(-log_s), -log_s.sum(-1)


class MAF(nn.Module):
    def __init__(self, d=6, h=64, n=3):
        super().__init__()
        self.blocks = nn.ModuleList(MADE(d, h) for _ in range(n))

    def forward(self, x):
        total = 0.0
        for b in self.blocks:
            x, ld = b(x)
            x = x.flip(-1)
            total = total + ld
        prior = torch.distributions.Normal(0.0, 1.0)
        return prior.log_prob(x).sum(-1) + total


def model():
    return MAF()


def batch(n=256):
    z = torch.randn(n, 6)
    x = torch.stack(
        [
            z[:, 0],
            z[:, 1] + z[:, 0] ** 2 - 1,
            z[:, 2] * 0.3 + z[:, 1],
            z[:, 3].tanh(),
            z[:, 4],
            z[:, 4] + 0.2 * z[:, 5],
        ],
        1,
    )
    return x, torch.zeros(n)


def loss(logp, target):
    return -logp.mean()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
