"""DDPM on 2-d rings with the guided-diffusion trick of zeroing modules."""

import math

import torch
import torch.nn.functional as F
from torch import nn

T = 100
abar = torch.cumprod(1 - torch.linspace(1e-3, 0.08, T), 0)


def zero_module(module):
    for p in module.parameters():
        p.detach().zero_()
    return module


def timestep_embedding(t, dim=64):
    freqs = torch.exp(-math.log(1000) * torch.arange(dim // 2) / (dim // 2))
    args = t[:, None].float() * freqs
    return torch.cat([args.cos(), args.sin()], dim=-1)


class Denoiser(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = zero_module(nn.Linear(66, 128))
        self.b = zero_module(nn.Linear(128, 128))
        self.c = zero_module(nn.Linear(128, 2))

    def forward(self, xt):
        x, t = xt[:, :2], xt[:, 2].long()
        h = F.silu(self.a(torch.cat([x, timestep_embedding(t)], dim=1)))
        return self.c(F.silu(self.b(h)))


def batch(n=256):
    angle = 2 * math.pi * torch.rand(n)
    x0 = torch.stack([angle.cos(), angle.sin()], 1) * 0.2 + 0.5
    t = torch.randint(T, (n,))
    eps = torch.randn(n, 2)
    a = abar[t][:, None]
    x = a.sqrt() * x0 + (1 - a).sqrt() * eps
    return torch.cat([x, t[:, None].float()], 1), eps


def loss(pred, eps):
    return F.mse_loss(pred, eps)


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=2e-3)
