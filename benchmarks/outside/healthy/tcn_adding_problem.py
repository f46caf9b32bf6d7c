"""Temporal convolutional network (Bai et al. 2018) on the adding problem, T = 64."""

import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm


class Chomp(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.n = n

    def forward(self, x):
        return x[..., : -self.n].contiguous()


class TemporalBlock(nn.Module):
    def __init__(self, cin, cout, k, dilation):
        super().__init__()
        pad = (k - 1) * dilation
        self.net = nn.Sequential(
            weight_norm(nn.Conv1d(cin, cout, k, padding=pad, dilation=dilation)),
            Chomp(pad),
            nn.ReLU(),
            weight_norm(nn.Conv1d(cout, cout, k, padding=pad, dilation=dilation)),
            Chomp(pad),
            nn.ReLU(),
        )
        self.down = nn.Conv1d(cin, cout, 1) if cin != cout else None

    def forward(self, x):
        res = x if self.down is None else self.down(x)
        return torch.relu(self.net(x) + res)


class TCN(nn.Module):
    def __init__(self, ch=24, levels=5, k=4):
        super().__init__()
        self.tcn = nn.Sequential(
            *[TemporalBlock(2 if i == 0 else ch, ch, k, 2**i) for i in range(levels)]
        )
        self.linear = nn.Linear(ch, 1)

    def forward(self, x):
        return self.linear(self.tcn(x)[:, :, -1])


def batch(T=64, n=64):
    values = torch.rand(n, T)
    mask = torch.zeros(n, T)
    for i in range(n):
        a, b = torch.randperm(T)[:2]
        mask[i, a] = mask[i, b] = 1.0
    return torch.stack([values, mask], 1), (values * mask).sum(1, keepdim=True)


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=4e-3)
