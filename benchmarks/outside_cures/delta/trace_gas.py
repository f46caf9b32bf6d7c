# Trace gas concentration (mol/l) from 24 absorption channels. Everything in SI units, the lab insists.
import torch
from torch import nn

g = torch.Generator().manual_seed(21)
conc = torch.exp(torch.randn(2400, 1, generator=g) * 0.5) * 2e-6
line = torch.rand(1, 24, generator=g) * 3e5
other = torch.rand(2400, 1, generator=g)
absorb = 1 - torch.exp(-conc * line - 0.2 * other * torch.rand(1, 24, generator=g))
absorb = absorb + 0.003 * torch.randn(2400, 24, generator=g)
MEAN, STD = absorb[:1600].mean(0), absorb[:1600].std(0)
UNIT = 1e-6


class GasNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", MEAN)
        self.register_buffer("std", STD)
        self.f = nn.Sequential(nn.Linear(24, 48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh(), nn.Linear(48, 1))

    def forward(self, a):
        return UNIT * self.f((a - self.mean) / self.std)


def model():
    return GasNet()


def data():
    for i in torch.randperm(1600).split(64):
        yield absorb[i], conc[i]


loss = nn.MSELoss()     # about 1e-12


def optimizer(model):
    # eps far below the gradients (1e-12), or Adam stands still
    return torch.optim.Adam(model.parameters(), lr=3e-3, eps=1e-20)


def metric(model):
    with torch.no_grad():
        e = model(absorb[1600:2000]) - conc[1600:2000]
    return (e.abs() / conc[1600:2000]).median().item()     # relative error


GOAL = 0.05
HIGHER_IS_BETTER = False
