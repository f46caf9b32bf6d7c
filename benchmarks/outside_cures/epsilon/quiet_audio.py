"""Denoising of quiet recordings (hydrophone, peak about 2e-3 of full scale).

Everything in half precision, since it shall run on the recorder later.
"""
import math

import torch
from torch import nn
from torch.nn import functional as F

FRAME = 256


def frames(n, seed):
    g = torch.Generator().manual_seed(seed)
    t = torch.arange(FRAME) / FRAME
    clean = torch.zeros(n, FRAME)
    for _ in range(3):
        f = torch.randint(2, 12, (n, 1), generator=g).float()
        ph = 2 * math.pi * torch.rand(n, 1, generator=g)
        a = 0.3 + 0.7 * torch.rand(n, 1, generator=g)
        clean += a * torch.sin(2 * math.pi * f * t + ph)
    noisy = clean + 0.9 * torch.randn(n, FRAME, generator=g)
    return 1e-3 * noisy, 1e-3 * clean


NOISY, CLEAN = frames(2048, 0)
VAL_NOISY, VAL_CLEAN = frames(256, 1)


class HalfLinear(nn.Module):
    """Master weights are float32, the arithmetic is in `dtype`."""

    def __init__(self, n_in, n_out, dtype=torch.float16):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_out, n_in) / math.sqrt(n_in))
        self.dtype = dtype

    def forward(self, x):
        return F.linear(x.to(self.dtype), self.weight.to(self.dtype))


class Denoiser(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.analysis = HalfLinear(FRAME, width)
        self.middle = HalfLinear(width, width)
        self.synthesis = HalfLinear(width, FRAME)

    def forward(self, x):
        h = F.leaky_relu(self.analysis(x), 0.3)
        h = F.leaky_relu(self.middle(h), 0.3)
        return self.synthesis(h).float()


def model():
    return Denoiser()


def data(seed=0):
    order = torch.randperm(len(NOISY), generator=torch.Generator().manual_seed(seed))
    for i in order.split(128):
        yield NOISY[i], CLEAN[i]


def loss(output, target):
    return F.mse_loss(output, target)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)


@torch.no_grad()
def metric(model):
    """Error power over signal power."""
    return ((model(VAL_NOISY) - VAL_CLEAN).pow(2).sum() / VAL_CLEAN.pow(2).sum()).item()


GOAL = 0.35
HIGHER_IS_BETTER = False
