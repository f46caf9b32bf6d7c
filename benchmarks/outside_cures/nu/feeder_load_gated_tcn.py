"""Day-ahead load of a medium-voltage feeder: gated temporal convolutions over the last 48 hours -> next 12.

The gate (T * H) follows the highway paper; TF1 code of 2018 moved to PyTorch.
"""
import math

import torch
from torch import nn
from torch.nn import functional as F

HISTORY, HORIZON = 48, 12


def simulate_feeder(hours, seed):
    gen = torch.Generator().manual_seed(seed)
    t = torch.arange(hours, dtype=torch.float32)
    day = torch.sin(2 * math.pi * t / 24 - 1.2) + 0.45 * torch.sin(4 * math.pi * t / 24 + 0.5)
    week = 1 - 0.3 * (((t // 24) % 7) >= 5).float()
    ar, v = [], 0.0
    shocks = 0.12 * torch.randn(hours, generator=gen)
    for e in shocks.tolist():
        v = 0.97 * v + e
        ar.append(v)
    return day * week + torch.tensor(ar) + 0.05 * torch.randn(hours, generator=gen)


series = simulate_feeder(24 * 7 * 16, seed=50)
mean, std = series.mean(), series.std()


def windows(s):
    w = ((s - mean) / std).unfold(0, HISTORY + HORIZON, 1)
    return w[:, None, :HISTORY].contiguous(), w[:, HISTORY:].contiguous()


X, Y = windows(series)


class GatedLayer(nn.Module):
    def __init__(self, channels_in, channels, dilation, gate_bias=-2.0):
        super().__init__()
        self.pad = 2 * dilation
        self.H = nn.Conv1d(channels_in, channels, 3, dilation=dilation)
        self.T = nn.Conv1d(channels_in, channels, 3, dilation=dilation)
        for conv in (self.H, self.T):
            nn.init.xavier_uniform_(conv.weight)
        nn.init.zeros_(self.H.bias)
        nn.init.constant_(self.T.bias, gate_bias)  # highway networks, section 2.2: start with a negative bias

    def forward(self, x):
        x = F.pad(x, (self.pad, 0))
        return torch.tanh(self.H(x)) * torch.sigmoid(self.T(x))


class LoadTCN(nn.Module):
    def __init__(self, channels=16, dilations=(1, 2, 4, 8, 16, 1, 2)):
        super().__init__()
        cs = [1] + [channels] * len(dilations)
        self.stack = nn.Sequential(*[GatedLayer(a, b, d) for a, b, d in zip(cs, cs[1:], dilations)])
        self.readout = nn.Linear(channels, HORIZON)

    def forward(self, x):
        return self.readout(self.stack(x)[:, :, -1])


def model():
    return LoadTCN()


def data():
    for ix in torch.randint(len(X), (40, 32)):
        yield X[ix], Y[ix]


loss = nn.SmoothL1Loss()


def optimizer(model):
    return torch.optim.RMSprop(model.parameters(), lr=2e-4, eps=1e-3)
