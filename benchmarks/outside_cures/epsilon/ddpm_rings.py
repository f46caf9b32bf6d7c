"""A small diffusion model on two rings. The network predicts the noise."""
import math

import torch
import torch.nn.functional as F
from torch import nn

LEVELS = 50
betas = torch.linspace(1e-3, 0.12, LEVELS)
alpha_bar = torch.cumprod(1 - betas, 0)


def rings(n, generator=None):
    r = torch.where(torch.rand(n, generator=generator) < 0.5, 0.6, 1.4)
    a = 2 * math.pi * torch.rand(n, generator=generator)
    return torch.stack([r * a.cos(), r * a.sin()], 1) + 0.03 * torch.randn(n, 2, generator=generator)


POINTS = rings(4096, torch.Generator().manual_seed(1))


def noised(x0, generator=None):
    k = torch.randint(0, LEVELS, (len(x0),), generator=generator)
    eps = torch.randn(x0.shape, generator=generator)
    ab = alpha_bar[k][:, None]
    return {"x": ab.sqrt() * x0 + (1 - ab).sqrt() * eps, "level": k}, eps


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)
        self.film = nn.Linear(width, 2 * width)
        for p in (*self.down.parameters(), *self.film.parameters()):
            nn.init.zeros_(p)  # adaLN-zero

    def forward(self, h, c):
        scale, shift = self.film(c).chunk(2, -1)
        return h + self.down(F.silu(self.up(self.norm(h) * (1 + scale) + shift)))


class Denoiser(nn.Module):
    def __init__(self, width=64, depth=3):
        super().__init__()
        self.read = nn.Linear(2, width)
        self.level = nn.Embedding(LEVELS, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.write = nn.Linear(width, 2)
        nn.init.zeros_(self.write.weight)
        nn.init.zeros_(self.write.bias)

    def forward(self, x, level):
        h, c = self.read(x), self.level(level)
        for block in self.blocks:
            h = block(h, c)
        return self.write(h)


def model():
    return Denoiser()


def data():
    for i in torch.randperm(len(POINTS)).split(256):
        yield noised(POINTS[i])


def loss(output, target):
    return F.mse_loss(output, target)


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=2e-3)
