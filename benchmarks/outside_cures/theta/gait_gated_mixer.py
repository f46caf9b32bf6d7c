"""Who walks? Gait recognition from 3-axis accelerometer windows (5 persons).

Deep residual mixer, 16 blocks; a learned gate per block (arXiv:2003.04887).
"""
import math

import torch
from torch import nn

PERSONS, TICKS, AXES, PATCH = 5, 48, 3, 6


def walk(n, seed):
    gen = torch.Generator().manual_seed(seed)
    who = torch.randint(0, PERSONS, (n,), generator=gen)
    t = torch.arange(TICKS).float() / TICKS
    phase = 2 * math.pi * torch.rand(n, 1, generator=gen)
    pace = 3.0 + 0.25 * torch.randn(n, 1, generator=gen)
    style = torch.randn(PERSONS, AXES, 3, generator=torch.Generator().manual_seed(17))
    shift = math.pi * torch.randn(PERSONS, AXES, 3, generator=torch.Generator().manual_seed(18))
    x = torch.zeros(n, TICKS, AXES)
    for k in range(3):  # harmonics of the step
        wave = torch.sin((k + 1) * (2 * math.pi * pace * t + phase))[..., None]
        cowave = torch.cos((k + 1) * (2 * math.pi * pace * t + phase))[..., None]
        s, a = style[who, :, k][:, None], shift[who, :, k][:, None]
        x = x + s * (wave * a.cos() + cowave * a.sin())
    return x + 0.5 * torch.randn(n, TICKS, AXES, generator=gen), who


class GatedBlock(nn.Module):
    def __init__(self, tokens, dim):
        super().__init__()
        self.mix = nn.Linear(tokens, tokens)
        self.up = nn.Linear(dim, 2 * dim)
        self.down = nn.Linear(2 * dim, dim)
        self.act = nn.GELU()
        self.alpha = nn.Parameter(torch.zeros(2))

    def forward(self, x):
        x = x + self.alpha[0] * self.act(self.mix(x.transpose(1, 2))).transpose(1, 2)
        return x + self.alpha[1] * self.down(self.act(self.up(x)))


class GaitMixer(nn.Module):
    def __init__(self, dim=24, depth=16):
        super().__init__()
        tokens = TICKS // PATCH
        self.stem = nn.Linear(PATCH * AXES, dim)
        self.blocks = nn.ModuleList(GatedBlock(tokens, dim) for _ in range(depth))
        self.head = nn.Linear(dim, PERSONS)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x):
        h = self.stem(x.reshape(len(x), TICKS // PATCH, PATCH * AXES))
        for block in self.blocks:
            h = block(h)
        return self.head(h.mean(1))


windows, walkers = walk(2000, seed=3)


def model():
    return GaitMixer()


def data():
    return [(windows[i], walkers[i]) for i in torch.randperm(len(windows)).split(50)]


criterion = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
