"""DDPM on 8x8 digits: conv net with time embedding, zero-initialised last conv, predicts the noise."""
import math

import torch
from sklearn.datasets import load_digits
from torch import nn

X0 = torch.tensor(load_digits().images / 8 - 1, dtype=torch.float32)[:, None]
STEPS = 100
ABAR = torch.cos(torch.linspace(0.02, 0.98, STEPS) * math.pi / 2) ** 2


class ResBlock(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.n1, self.n2 = nn.GroupNorm(4, c), nn.GroupNorm(4, c)
        self.c1, self.c2 = nn.Conv2d(c, c, 3, padding=1), nn.Conv2d(c, c, 3, padding=1)
        self.t = nn.Linear(32, c)
        nn.init.zeros_(self.c2.weight)
        nn.init.zeros_(self.c2.bias)

    def forward(self, x, t):
        h = self.c1(nn.functional.silu(self.n1(x))) + self.t(t)[..., None, None]
        return x + self.c2(nn.functional.silu(self.n2(h)))


class EpsNet(nn.Module):
    def __init__(self, c=24):
        super().__init__()
        self.inp = nn.Conv2d(1, c, 3, padding=1)
        self.time = nn.Sequential(nn.Linear(32, 32), nn.SiLU(), nn.Linear(32, 32))
        self.blocks = nn.ModuleList(ResBlock(c) for _ in range(3))
        self.norm = nn.GroupNorm(4, c)
        self.out = nn.Conv2d(c, 1, 3, padding=1)

    def forward(self, x, t):
        freq = torch.exp(-math.log(1000) * torch.arange(16) / 16)
        ang = t[:, None].float() * freq
        emb = self.time(torch.cat([ang.sin(), ang.cos()], 1))
        h = self.inp(x)
        for b in self.blocks:
            h = b(h, emb)
        return self.out(nn.functional.silu(self.norm(h)))


def batch(n=32):
    x0 = X0[torch.randint(0, len(X0), (n,))]
    t = torch.randint(0, STEPS, (n,))
    a = ABAR[t][:, None, None, None]
    eps = torch.randn_like(x0)
    return (a.sqrt() * x0 + (1 - a).sqrt() * eps, t), eps


loss = nn.functional.mse_loss


def optimizer(m):
    return torch.optim.AdamW(m.parameters(), lr=1e-3)


if __name__ == "__main__":
    m = EpsNet()
    opt = optimizer(m)
    for i in range(250):
        x, e = batch()
        l = loss(m(*x), e)
        opt.zero_grad()
        l.backward()
        opt.step()
    print(l.item())
