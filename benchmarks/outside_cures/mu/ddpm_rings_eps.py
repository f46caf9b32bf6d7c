"""DDPM on three rings in the plane; the network predicts the noise.

Last layer zero-initialised as in the official code base.
"""
import math
import torch
import torch.nn as nn

T = 50
betas = torch.linspace(1e-3, 0.15, T)
alpha_bar = torch.cumprod(1 - betas, 0)


def rings(n, seed=None):
    g = torch.Generator()
    g.manual_seed(seed if seed is not None else int(torch.randint(0, 2 ** 31, ())))
    r = torch.tensor([0.4, 1.0, 1.6])[torch.randint(0, 3, (n,), generator=g)]
    phi = torch.rand(n, generator=g) * 2 * math.pi
    return torch.stack([r * phi.cos(), r * phi.sin()], 1) + 0.03 * torch.randn(n, 2, generator=g)


def diffuse(x0, seed=None):
    g = torch.Generator()
    g.manual_seed(seed if seed is not None else int(torch.randint(0, 2 ** 31, ())))
    t = torch.randint(0, T, (len(x0),), generator=g)
    eps = torch.randn(x0.shape, generator=g)
    a = alpha_bar[t].unsqueeze(1)
    return a.sqrt() * x0 + (1 - a).sqrt() * eps, t, eps


class TimeBlock(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.norm = nn.LayerNorm(d)
        self.a, self.b = nn.Linear(d, 2 * d), nn.Linear(2 * d, d)
        self.time = nn.Linear(d, 2 * d)
        nn.init.zeros_(self.b.weight)
        nn.init.zeros_(self.b.bias)

    def forward(self, h, temb):
        return h + self.b(nn.functional.silu(self.a(self.norm(h)) + self.time(temb)))


class Denoiser(nn.Module):
    def __init__(self, d=64, depth=4):
        super().__init__()
        self.inp = nn.Linear(2, d)
        self.temb = nn.Embedding(T, d)
        self.blocks = nn.ModuleList(TimeBlock(d) for _ in range(depth))
        self.out = nn.Linear(d, 2)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x, t):
        h, temb = self.inp(x), self.temb(t)
        for block in self.blocks:
            h = block(h, temb)
        return self.out(h)


def model():
    return Denoiser()


def data():
    while True:
        x, t, eps = diffuse(rings(128))
        yield (x, t), eps


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=2e-3)
