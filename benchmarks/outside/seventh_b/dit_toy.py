import math
import torch
import torch.nn as nn


def timestep_embedding(t, dim):
    f = torch.exp(-math.log(1000) * torch.arange(dim // 2) / (dim // 2))
    a = t[:, None] * 100 * f
    return torch.cat([a.cos(), a.sin()], -1)


class DiTBlock(nn.Module):
    def __init__(self, d, heads=4):
        super().__init__()
        self.norm1 = nn.LayerNorm(d, elementwise_affine=False)
        self.attn = nn.MultiheadAttention(d, heads, batch_first=True)
        self.norm2 = nn.LayerNorm(d, elementwise_affine=False)
        self.mlp = nn.Sequential(nn.Linear(d, 4 * d), nn.GELU(approximate="tanh"), nn.Linear(4 * d, d))
        self.ada = nn.Sequential(nn.SiLU(), nn.Linear(d, 6 * d))
        nn.init.zeros_(self.ada[1].weight)
        nn.init.zeros_(self.ada[1].bias)

    def forward(self, x, c):
        s1, b1, g1, s2, b2, g2 = self.ada(c)[:, None].chunk(6, -1)
        h = self.norm1(x) * (1 + s1) + b1
        x = x + g1 * self.attn(h, h, h, need_weights=False)[0]
        return x + g2 * self.mlp(self.norm2(x) * (1 + s2) + b2)


class DiT(nn.Module):
    def __init__(self, patch=4, d=48, depth=3):
        super().__init__()
        self.embed = nn.Linear(patch, d)
        self.pos = nn.Parameter(0.02 * torch.randn(8, d))
        self.t_mlp = nn.Sequential(nn.Linear(32, d), nn.SiLU(), nn.Linear(d, d))
        self.blocks = nn.ModuleList(DiTBlock(d) for _ in range(depth))
        self.norm = nn.LayerNorm(d, elementwise_affine=False)
        self.final = nn.Linear(d, patch)
        nn.init.zeros_(self.final.weight)
        nn.init.zeros_(self.final.bias)

    def forward(self, x, t):
        c = self.t_mlp(timestep_embedding(t, 32))
        h = self.embed(x.unflatten(1, (8, 4))) + self.pos
        for b in self.blocks:
            h = b(h, c)
        return self.final(self.norm(h)).flatten(1)


def batch(n=64):
    ph, fr = torch.rand(n, 1) * 6.28, torch.rand(n, 1) * 0.3 + 0.2
    x0 = 1.4 * torch.sin(fr * torch.arange(32) + ph)
    t, eps = torch.rand(n), torch.randn(n, 32)
    a = torch.cos(t * math.pi / 2)[:, None]
    return (a * x0 + (1 - a ** 2).sqrt() * eps, t), eps


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0)
