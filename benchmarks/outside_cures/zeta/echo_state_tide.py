"""Echo state network for a tide gauge: predict the level 4 steps ahead.

The reservoir is drawn once and never trained (Jaeger 2001); only the readout learns.
"""
import torch
from torch import nn


def tide(n, seed):
    g = torch.Generator().manual_seed(seed)
    t = torch.arange(36.0)
    a = torch.rand(n, 3, generator=g) + 0.3
    ph = 6.283 * torch.rand(n, 3, generator=g)
    w = torch.tensor([0.506, 0.263, 0.127])
    y = (a[:, :, None] * torch.sin(w[None, :, None] * t + ph[:, :, None])).sum(1)
    return (y[:, :32] + 0.03 * torch.randn(n, 32, generator=g))[:, :, None], y[:, 35:]


class Reservoir(nn.Module):
    def __init__(self, units=200, radius=0.9, leak=0.5):
        super().__init__()
        w = torch.randn(units, units) * (torch.rand(units, units) < 0.1)
        w = w * radius / torch.linalg.eigvals(w).abs().max()
        self.recurrent = nn.Parameter(w, requires_grad=False)
        self.input = nn.Parameter(torch.rand(units, 1) * 1.0 - 0.5, requires_grad=False)
        self.leak = leak

    @torch.no_grad()
    def forward(self, series):
        state = series.new_zeros(len(series), len(self.recurrent))
        for u in series.unbind(1):
            state = (1 - self.leak) * state + self.leak * torch.tanh(u @ self.input.T + state @ self.recurrent.T)
        return state


class ESN(nn.Module):
    def __init__(self):
        super().__init__()
        self.reservoir = Reservoir()
        self.readout = nn.Linear(200, 1)

    def forward(self, series):
        return self.readout(self.reservoir(series))


series, level = tide(1500, 0)
later_series, later_level = tide(400, 1)


def model():
    return ESN()


def data():
    for i in torch.randperm(1500).split(50):
        yield series[i], level[i]


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.readout.parameters(), lr=0.01)
