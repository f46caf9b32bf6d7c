"""Sparsely gated experts (Shazeer et al., 2017) for the virtual flow meter.

The pump runs in one of several hydraulic regimes and in each regime the flow is close to
linear in the readings. So: linear experts, top-1 routing -> cheap enough for the PLC.
"""
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

READINGS = 6
N_EXPERTS = 8


def readings(n, seed):
    law = np.random.default_rng(99).normal(size=(4, READINGS))
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, READINGS)).astype(np.float32)
    regime = 2 * (x[:, 0] > 0).astype(int) + (x[:, 1] > 0).astype(int)
    y = (law[regime] * x).sum(1) + 0.05 * rng.normal(size=n)
    return torch.from_numpy(x), torch.tensor(y, dtype=torch.float32)[:, None]


class Router(nn.Module):
    def __init__(self, d, n):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(d, 32), nn.ReLU(), nn.Linear(32, n))

    def forward(self, x):
        gate = F.softmax(self.net(x), dim=-1)
        return F.one_hot(gate.argmax(-1), gate.shape[-1]).to(x.dtype)


class FlowMeter(nn.Module):
    def __init__(self):
        super().__init__()
        self.router = Router(READINGS, N_EXPERTS)
        self.experts = nn.ModuleList(nn.Linear(READINGS, 1) for _ in range(N_EXPERTS))

    def forward(self, x):
        weight = self.router(x)
        y = torch.stack([e(x) for e in self.experts], dim=1)  # B, E, 1
        return (weight.unsqueeze(-1) * y).sum(1)


x_train, y_train = readings(4000, 0)


def model():
    return FlowMeter()


def data():
    for i in torch.randperm(len(x_train)).split(128):
        yield x_train[i], y_train[i]


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
