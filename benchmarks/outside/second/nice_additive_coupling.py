import torch
from torch import nn


class NICE(nn.Module):
    def __init__(self, dim=4, layers=4):
        super().__init__()
        self.m = nn.ModuleList(
            nn.Sequential(nn.Linear(dim // 2, 48), nn.ReLU(), nn.Linear(48, dim // 2))
            for _ in range(layers)
        )
        self.log_s = nn.Parameter(torch.zeros(dim))

    def forward(self, x):
        a, b = x.chunk(2, dim=1)
        for m in self.m:
            a, b = b, a + m(b)
        z = torch.cat([a, b], 1) * self.log_s.exp()
        return (-0.5 * z**2 - 0.919).sum(1) + self.log_s.sum()


def batch(n=256):
    u = torch.randn(n, 2) * 0.3
    x = torch.cat([u, torch.sin(4 * u) + 0.05 * torch.randn(n, 2)], 1)
    return x, torch.zeros(n)


def loss(logp, unused):
    return -logp.mean()


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=2e-3)
