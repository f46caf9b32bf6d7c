"""Denoising diffusion on backbone torsion angles (phi, psi), two basins plus a bridge."""
import math
import torch
from torch import nn

T = 200
betas = torch.linspace(1e-4, 0.04, T)
abar = torch.cumprod(1 - betas, 0)


def angles(n):
    k = torch.randint(0, 3, (n,))
    mu = torch.tensor([[-1.1, -0.8], [-2.0, 2.3], [1.0, 0.7]])[k]
    return (mu + 0.2 * torch.randn(n, 2)) / 1.5


def time_embedding(t, dim=32):
    f = torch.exp(-math.log(10000) * torch.arange(dim // 2) / (dim // 2))
    a = t[:, None].float() * f[None]
    return torch.cat([a.sin(), a.cos()], -1)


class Block(nn.Module):
    def __init__(self, d, dt):
        super().__init__()
        self.norm = nn.LayerNorm(d)
        self.film = nn.Linear(dt, 2 * d)
        self.f1, self.f2 = nn.Linear(d, 2 * d), nn.Linear(2 * d, d)
        for m in (self.film, self.f2):
            nn.init.zeros_(m.weight)
            nn.init.zeros_(m.bias)

    def forward(self, x, t):
        s, b = self.film(t).chunk(2, -1)
        h = self.norm(x) * (1 + s) + b
        return x + self.f2(nn.functional.silu(self.f1(h)))


class EpsNet(nn.Module):
    def __init__(self, d=64):
        super().__init__()
        self.inp = nn.Linear(2, d)
        self.t = nn.Sequential(nn.Linear(32, d), nn.SiLU())
        self.blocks = nn.ModuleList(Block(d, d) for _ in range(3))
        self.out = nn.Linear(d, 2)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x, t):
        e = self.t(time_embedding(t))
        x = self.inp(x)
        for b in self.blocks:
            x = b(x, e)
        return self.out(x)


def batch(n=256):
    x0 = angles(n)
    t = torch.randint(0, T, (n,))
    eps = torch.randn_like(x0)
    a = abar[t][:, None]
    return (a.sqrt() * x0 + (1 - a).sqrt() * eps, t), eps


loss = nn.functional.mse_loss


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=2e-3)
