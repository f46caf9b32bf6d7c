# Implicit representation of a scalar field u(x, y) measured by scattered sensors.
# Sine activations as in Sitzmann et al. 2020, everything smooth so that we can
# differentiate the field afterwards.
import math
import torch
import torch.nn as nn

torch.set_default_dtype(torch.float32)


def field(p):
    x, y = p[:, 0], p[:, 1]
    u = torch.sin(4.0 * x + 1.5 * torch.cos(3.0 * y)) + 0.6 * torch.cos(6.0 * y - 2.0 * x * y)
    u = u + 0.8 * torch.exp(-12 * ((x - 0.3) ** 2 + (y + 0.4) ** 2))
    return u[:, None]


def sensors(n, seed, noise=0.02):
    g = torch.Generator().manual_seed(seed)
    p = 2 * torch.rand(n, 2, generator=g) - 1
    return p, field(p) + noise * torch.randn(n, 1, generator=g)


class Sine(nn.Module):
    def __init__(self, w0=30.0):
        super().__init__()
        self.w0 = w0

    def forward(self, x):
        return torch.sin(self.w0 * x)


class FieldNet(nn.Module):
    def __init__(self, hidden=64, depth=3):
        super().__init__()
        mods = [nn.Linear(2, hidden), Sine()]
        for _ in range(depth - 1):
            mods += [nn.Linear(hidden, hidden), Sine()]
        mods += [nn.Linear(hidden, 1)]
        self.f = nn.Sequential(*mods)

    def forward(self, p):
        return self.f(p)


P, U = sensors(1500, seed=0)


def model():
    return FieldNet()


def data():
    idx = torch.randperm(len(P))
    for i in range(0, len(P), 250):
        j = idx[i:i + 250]
        yield P[j], U[j]


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-4)
