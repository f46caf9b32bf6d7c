# SIREN on a short clip. First layer uses a larger omega, as the authors do for audio.
import math
import torch
import torch.nn as nn


class Sine(nn.Module):
    def __init__(self, i, o, w0, first=False):
        super().__init__()
        self.w0, self.fc = w0, nn.Linear(i, o)
        b = 1 / i if first else math.sqrt(6 / i) / w0
        nn.init.uniform_(self.fc.weight, -b, b)

    def forward(self, t):
        return torch.sin(self.w0 * self.fc(t))


def siren(width=96):
    last = nn.Linear(width, 1)
    nn.init.uniform_(last.weight, -math.sqrt(6 / width) / 30, math.sqrt(6 / width) / 30)
    return nn.Sequential(Sine(1, width, 300.0, first=True), Sine(width, width, 30.0), Sine(width, width, 30.0), last)


t = torch.linspace(-1, 1, 800)[:, None]
clip = torch.exp(-2 * t.abs()) * (torch.sin(180 * t) + 0.5 * torch.sin(270 * t + 1)) * 0.7
batch = (t, clip)


def loss(y, target):
    return ((y - target) ** 2).mean()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-4)
