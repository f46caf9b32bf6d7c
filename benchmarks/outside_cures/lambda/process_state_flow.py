"""Density model of normal plant operation, for anomaly scores (own RealNVP, no dependencies).

Five process variables lie near a curved surface. Everything the flow finds unlikely is to raise an alarm.
"""
import math
import torch
from torch import nn

DIM = 5


def operation(n, seed):
    g = torch.Generator().manual_seed(seed)
    e = torch.randn(n, DIM, generator=g)
    load = e[:, 0]
    temp = 0.5 * load ** 2 - 0.5 + 0.2 * e[:, 1]
    flow = torch.sin(2 * load) + 0.2 * e[:, 2]
    valve = 0.7 * temp - flow + 0.15 * e[:, 3]
    level = torch.tanh(2 * valve) + 0.3 * (1 + load.abs()) * e[:, 4]
    return torch.stack([load, temp, flow, valve, level], 1)


class Coupling(nn.Module):
    def __init__(self, mask, hidden=48):
        super().__init__()
        self.register_buffer("mask", mask)
        self.net = nn.Sequential(
            nn.Linear(DIM, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 2 * DIM)
        )
        # every layer starts as the identity (as in Glow)
        nn.init.zeros_(self.net[-1].weight)
        nn.init.zeros_(self.net[-1].bias)

    def forward(self, x):
        s, t = self.net(x * self.mask).chunk(2, dim=1)
        s = 2.0 * torch.tanh(s / 2.0) * (1 - self.mask)
        return x * torch.exp(s) + t * (1 - self.mask), s.sum(1)


class Flow(nn.Module):
    def __init__(self, layers=8):
        super().__init__()
        g = torch.Generator().manual_seed(0)
        couplings = []
        for k in range(layers):
            if k % 2 == 0:
                mask = torch.zeros(DIM)
                mask[torch.randperm(DIM, generator=g)[:2]] = 1
            else:
                mask = 1 - mask
            couplings.append(Coupling(mask))
        self.couplings = nn.ModuleList(couplings)

    def forward(self, x):
        logdet = x.new_zeros(len(x))
        for c in self.couplings:
            x, ld = c(x)
            logdet = logdet + ld
        return x, logdet


def model():
    return Flow()


samples = operation(5000, seed=2)


def data():
    # nothing to predict; the second entry is only there because the trainer wants one
    for batch in samples[torch.randperm(len(samples))].split(125):
        yield batch, batch


def loss(output, _):
    z, logdet = output
    log_prob = -0.5 * z.pow(2).sum(1) - 0.5 * DIM * math.log(2 * math.pi) + logdet
    return -log_prob.mean()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
