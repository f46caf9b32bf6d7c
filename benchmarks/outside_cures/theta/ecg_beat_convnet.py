# ECG beat classifier (N / V / A), 1 lead, 96 samples per window
# port of the keras prototype of last summer
import math
import torch
import torch.nn as nn
import torch.nn.functional as F


def synth_beats(n, gen):
    """Windows with one beat: normal, ventricular (wide, no P wave), atrial (early, odd P wave)."""
    t = torch.linspace(0, 1, 96)
    y = torch.randint(0, 3, (n,), generator=gen)
    u = lambda lo, hi: lo + (hi - lo) * torch.rand(n, 1, generator=gen)
    bump = lambda c, w, a: a * torch.exp(-((t - c) / w) ** 2)
    c = u(0.4, 0.6)
    amp = u(0.7, 1.3)
    wide = torch.where(y[:, None] == 1, u(0.035, 0.055), u(0.015, 0.03))
    p_amp = torch.where(y[:, None] == 1, torch.zeros(n, 1), torch.where(y[:, None] == 2, -u(0.15, 0.3), u(0.15, 0.3)))
    x = bump(c, wide, amp) + bump(c - 0.17, 0.03, p_amp) + bump(c + 0.22, 0.06, u(0.15, 0.4))
    x = x - bump(c + 0.05, wide, 0.3 * amp)
    drift = 0.2 * torch.sin(2 * math.pi * (u(0.3, 1.0) * t + u(0, 1)))
    x = x + drift + 0.06 * torch.randn(n, 96, generator=gen)
    return x.unsqueeze(1), y


class Block(nn.Module):
    def __init__(self, c_in, c_out, stride=2):
        super().__init__()
        self.conv = nn.Conv1d(c_in, c_out, 7, stride=stride, padding=3, bias=False)
        self.bn = nn.BatchNorm1d(c_out)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


class BeatNet(nn.Module):
    def __init__(self, widths=(8, 16, 16), classes=3):
        super().__init__()
        c = 1
        self.blocks = []
        for w in widths:
            self.blocks.append(Block(c, w))
            c = w
        self.pool = nn.AdaptiveAvgPool1d(1)
        self.fc = nn.Linear(c, classes)

    def forward(self, x):
        for b in self.blocks:
            x = b(x)
        return self.fc(self.pool(x).squeeze(-1))


_x, _y = synth_beats(3000, torch.Generator().manual_seed(2024))


def model():
    return BeatNet()


def data(bs=64):
    p = torch.randperm(len(_x))
    for k in range(len(_x) // bs):
        i = p[k * bs:(k + 1) * bs]
        yield _x[i], _y[i]


criterion = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
