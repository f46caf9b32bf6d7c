"""Five physical constants of a damped oscillator by gradient descent; no layers."""

import torch
from torch import nn


class Damped(nn.Module):
    def __init__(self):
        super().__init__()
        self.amplitude = nn.Parameter(torch.tensor(0.7))
        self.decay = nn.Parameter(torch.tensor(0.1))
        self.omega = nn.Parameter(torch.tensor(2.2))
        self.phase = nn.Parameter(torch.tensor(0.0))
        self.offset = nn.Parameter(torch.tensor(0.0))

    def forward(self, t):
        wave = torch.cos(self.omega * t + self.phase)
        return self.amplitude * torch.exp(-self.decay * t) * wave + self.offset


def batch():
    t = torch.linspace(0, 4, 80)[:, None]
    y = 1.2 * torch.exp(-0.3 * t) * torch.cos(2.6 * t + 0.2) + 0.4
    return t, y + 0.02 * torch.randn_like(y)


def loss(output, target):
    return nn.functional.mse_loss(output, target)


def model():
    return Damped()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=0.02)
