# "Diffusion from scratch in 80 lines"
import math

import torch
import torch.nn as nn
from sklearn.datasets import make_swiss_roll

T = 100
betas = torch.linspace(1e-4, 0.05, T)
abar = torch.cumprod(1 - betas, 0)


def time_embedding(t, dim=32):
    half = dim // 2
    freqs = torch.exp(-math.log(1000) * torch.arange(half) / half)
    a = t[:, None].float() * freqs[None]
    return torch.cat([a.sin(), a.cos()], -1)


class ResBlock(nn.Module):
    def __init__(self, h):
        super().__init__()
        self.norm = nn.LayerNorm(h)
        self.lin1 = nn.Linear(h, h)
        self.t_proj = nn.Linear(32, h)
        self.lin2 = nn.Linear(h, h)

    def forward(self, x, temb):
        y = self.lin1(nn.functional.silu(self.norm(x))) + self.t_proj(temb)
        return x + self.lin2(nn.functional.silu(y))


class Denoiser(nn.Module):
    def __init__(self, h=96):
        super().__init__()
        self.inp = nn.Linear(2, h)
        self.blocks = nn.ModuleList([ResBlock(h) for _ in range(3)])
        self.out = nn.Linear(h, 2)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x, t):
        emb = time_embedding(t)
        h = self.inp(x)
        for b in self.blocks:
            h = b(h, emb)
        return self.out(h)


def batch(n=256):
    roll, _ = make_swiss_roll(n, noise=0.3)
    x0 = torch.tensor(roll[:, [0, 2]] / 7.0, dtype=torch.float32)
    t = torch.randint(0, T, (n,))
    noise = torch.randn_like(x0)
    a = abar[t][:, None]
    return (a.sqrt() * x0 + (1 - a).sqrt() * noise, t), noise


loss = nn.MSELoss()


def model():
    return Denoiser()


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=1e-3)
