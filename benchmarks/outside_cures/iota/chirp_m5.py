"""
M5 on raw audio (Dai et al., "Very deep convolutional neural networks for raw waveforms"),
cut down for 0.1 s clips of our bat detector. Gain of the microphones differs a lot, that is why
there is instance norm and not batch norm everywhere.
"""
import math

import torch
from torch import nn

RATE = 4000
LEN = 400
CALLS = ["up", "down", "flat_low", "flat_high", "warble"]


def clips(n, seed):
    g = torch.Generator().manual_seed(seed)
    label = torch.randint(0, len(CALLS), (n,), generator=g)
    t = torch.arange(LEN) / RATE
    start = torch.tensor([300.0, 1100.0, 350.0, 1100.0, 700.0])[label][:, None]
    slope = torch.tensor([8000.0, -8000.0, 0.0, 0.0, 0.0])[label][:, None]
    wob = torch.tensor([0, 0, 0, 0, 6.0])[label][:, None]
    start = start * (1 + 0.1 * torch.randn(n, 1, generator=g))
    phase = 2 * math.pi * (start * t + 0.5 * slope * t**2 + torch.rand(n, 1, generator=g))
    phase = phase + wob * torch.sin(2 * math.pi * 60 * t)
    gain = torch.exp(torch.randn(n, 1, generator=g))
    return (gain * (torch.sin(phase) + 0.4 * torch.randn(n, LEN, generator=g)))[:, None], label


class Block(nn.Module):
    def __init__(self, cin, cout, k=3, stride=1, pool=2):
        super().__init__()
        self.pre = nn.ReLU()
        self.conv = nn.Conv1d(cin, cout, k, stride, padding=k // 2)
        self.norm = nn.InstanceNorm1d(cout, affine=True)
        self.pool = nn.MaxPool1d(pool) if pool > 1 else nn.Identity()

    def forward(self, x):
        return self.norm(self.conv(self.pool(self.pre(x))))


class BatM5(nn.Module):
    def __init__(self, ch=24):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv1d(1, ch, 25, stride=4, padding=12), nn.InstanceNorm1d(ch, affine=True))
        self.blocks = nn.Sequential(
            Block(ch, ch),
            Block(ch, 2 * ch),
            Block(2 * ch, 2 * ch, pool=1),
        )
        self.gap = nn.AdaptiveAvgPool1d(1)
        self.fc = nn.Linear(2 * ch, len(CALLS))

    def forward(self, wav):
        h = self.blocks(self.stem(wav))
        return self.fc(self.gap(h).flatten(1))


wav, call = clips(1600, 17)


def model():
    return BatM5()


def data():
    for i in torch.randperm(len(wav)).split(32):
        yield wav[i], call[i]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
