import math
import torch
import torch.nn as nn
from sklearn.datasets import make_swiss_roll

AUTOCAST = "bfloat16"
T = 100
betas = torch.linspace(1e-4, 0.06, T)
abar = torch.cumprod(1 - betas, 0)


class TimeEmbedding(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.register_buffer("freq", torch.exp(-math.log(1000) * torch.arange(dim // 2) / (dim // 2)))

    def forward(self, t):
        a = t[:, None].float() * self.freq[None]
        return torch.cat([a.sin(), a.cos()], -1)


class AdaBlock(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.norm = nn.LayerNorm(d, elementwise_affine=False)
        self.mlp = nn.Sequential(nn.Linear(d, 2 * d), nn.SiLU(), nn.Linear(2 * d, d))
        self.ada = nn.Linear(d, 3 * d)
        nn.init.zeros_(self.ada.weight)
        nn.init.zeros_(self.ada.bias)

    def forward(self, x, c):
        shift, scale, gate = self.ada(c).chunk(3, -1)
        return x + gate * self.mlp(self.norm(x) * (1 + scale) + shift)


class EpsNet(nn.Module):
    def __init__(self, d=64, n=3):
        super().__init__()
        self.inp = nn.Linear(2, d)
        self.temb = nn.Sequential(TimeEmbedding(d), nn.Linear(d, d), nn.SiLU())
        self.blocks = nn.ModuleList(AdaBlock(d) for _ in range(n))
        self.out = nn.Linear(d, 2)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x, t):
        c = self.temb(t)
        h = self.inp(x)
        for b in self.blocks:
            h = b(h, c)
        return self.out(h)


def batch(seed=0):
    pts, _ = make_swiss_roll(512, noise=0.2, random_state=seed)
    x0 = torch.tensor(pts[:, [0, 2]], dtype=torch.float32) / 7
    t = torch.randint(0, T, (512,))
    eps = torch.randn_like(x0)
    a = abar[t][:, None]
    return (a.sqrt() * x0 + (1 - a).sqrt() * eps, t), eps


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=2e-3)
