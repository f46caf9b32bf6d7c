"""Next-hour forecast of the sea level from the last 48 hours."""
import math

import torch
import torch.nn as nn

HOURS = 48


def tides(n, seed):
    g = torch.Generator().manual_seed(seed)
    t = torch.arange(HOURS + 1.0)
    total = torch.zeros(n, HOURS + 1)
    for period, size in ((12.42, 1.0), (12.0, 0.45), (24.8, 0.4)):
        phase = 2 * math.pi * torch.rand(n, 1, generator=g)
        amp = size * (0.7 + 0.6 * torch.rand(n, 1, generator=g))
        total = total + amp * torch.sin(2 * math.pi * t / period + phase)
    total = total + 0.05 * torch.randn(n, HOURS + 1, generator=g)
    return total[:, :HOURS, None], total[:, HOURS:]


series, following = tides(2000, seed=1)


class TideRNN(nn.Module):
    def __init__(self, hidden=40):
        super().__init__()
        self.w_in = nn.Parameter(torch.randn(1, hidden))
        self.w_rec = nn.Parameter(torch.randn(hidden, hidden))
        self.b = nn.Parameter(torch.zeros(hidden))
        self.w_out = nn.Parameter(torch.randn(hidden, 1))
        self.b_out = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        h = x.new_zeros(x.size(0), self.b.numel())
        for step in x.unbind(1):
            h = torch.tanh(step @ self.w_in + h @ self.w_rec + self.b)
        return h @ self.w_out + self.b_out


def model():
    return TideRNN()


def data(seed=0):
    g = torch.Generator().manual_seed(seed)
    for i in torch.randperm(len(series), generator=g).split(50):
        yield series[i], following[i]


def loss(out, y):
    return nn.functional.mse_loss(out, y)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
