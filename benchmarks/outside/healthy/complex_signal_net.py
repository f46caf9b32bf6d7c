"""Complex-valued layers for phase-shift keying: which symbol was sent through the channel?"""

import torch
from torch import nn


class ModReLU(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.b = nn.Parameter(torch.full((d,), -0.05))

    def forward(self, z):
        r = z.abs()
        return z * torch.relu(r + self.b) / (r + 1e-6)


class ComplexNet(nn.Module):
    def __init__(self, n=8, h=32):
        super().__init__()
        self.l1 = nn.Linear(n, h, dtype=torch.cfloat)
        self.a1 = ModReLU(h)
        self.l2 = nn.Linear(h, h, dtype=torch.cfloat)
        self.a2 = ModReLU(h)
        self.out = nn.Linear(2 * h, 4)

    def forward(self, z):
        z = self.a1(self.l1(z))
        z = self.a2(self.l2(z))
        return self.out(torch.cat([z.real, z.imag], -1))


g = torch.Generator().manual_seed(4)
CHANNEL = torch.randn(8, generator=g) + 1j * torch.randn(8, generator=g)


def batch(n=128):
    y = torch.randint(4, (n,))
    phase = torch.polar(torch.ones(n), 1.5708 * y + 0.78)
    noise = (torch.randn(n, 8) + 1j * torch.randn(n, 8)) * 0.5
    return phase[:, None] * CHANNEL + noise, y


def model():
    return ComplexNet()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
