# eps-prediction with adaLN-zero blocks (Peebles & Xie) on a 2-d swiss roll
import math
import torch
import torch.nn as nn
from sklearn.datasets import make_swiss_roll

T = 200
betas = torch.linspace(1e-3, 0.05, T)
abar = torch.cumprod(1 - betas, 0)
roll = torch.tensor(make_swiss_roll(4000, noise=0.2, random_state=0)[0][:, [0, 2]], dtype=torch.float32) / 8


def timestep_embedding(t, dim=32):
    f = torch.exp(-math.log(10000) * torch.arange(dim // 2) / (dim // 2))
    a = t[:, None].float() * f[None]
    return torch.cat([a.cos(), a.sin()], -1)


class AdaLNBlock(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.norm = nn.LayerNorm(d, elementwise_affine=False)
        self.mlp = nn.Sequential(nn.Linear(d, 2 * d), nn.SiLU(), nn.Linear(2 * d, d))
        self.mod = nn.Linear(32, 3 * d)
        nn.init.zeros_(self.mod.weight)
        nn.init.zeros_(self.mod.bias)

    def forward(self, x, c):
        shift, scale, gate = self.mod(c).chunk(3, -1)
        return x + gate * self.mlp(self.norm(x) * (1 + scale) + shift)


class Denoiser(nn.Module):
    def __init__(self, d=64, depth=3):
        super().__init__()
        self.inp = nn.Linear(2, d)
        self.blocks = nn.ModuleList(AdaLNBlock(d) for _ in range(depth))
        self.final = nn.Linear(d, 2)
        nn.init.zeros_(self.final.weight)
        nn.init.zeros_(self.final.bias)

    def forward(self, x, t):
        c = timestep_embedding(t)
        h = self.inp(x)
        for b in self.blocks:
            h = b(h, c)
        return self.final(h)


def batch(n=256):
    x0 = roll[torch.randint(0, len(roll), (n,))]
    t = torch.randint(0, T, (n,))
    eps = torch.randn_like(x0)
    return (abar[t, None].sqrt() * x0 + (1 - abar[t, None]).sqrt() * eps, t), eps


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.0)
