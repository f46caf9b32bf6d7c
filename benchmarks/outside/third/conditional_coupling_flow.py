"""Conditional RealNVP for posterior estimation; scale passes through tanh, last layers of the nets start at zero."""
import math

import torch
from torch import nn


class Coupling(nn.Module):
    def __init__(self, flip, ctx=2, h=48):
        super().__init__()
        self.flip = flip
        self.net = nn.Sequential(nn.Linear(1 + ctx, h), nn.SiLU(), nn.Linear(h, h), nn.SiLU(), nn.Linear(h, 2))
        nn.init.zeros_(self.net[-1].weight)
        nn.init.zeros_(self.net[-1].bias)

    def forward(self, z, c):
        a, b = (z[:, 1:], z[:, :1]) if self.flip else (z[:, :1], z[:, 1:])
        s, t = self.net(torch.cat([a, c], 1)).chunk(2, 1)
        s = 2 * torch.tanh(s / 2)
        b = b * s.exp() + t
        return torch.cat([b, a] if self.flip else [a, b], 1), s.squeeze(1)


class Posterior(nn.Module):
    def __init__(self, layers=6):
        super().__init__()
        self.layers = nn.ModuleList(Coupling(i % 2 == 0) for i in range(layers))

    def forward(self, theta, obs):
        ld = 0.0
        for layer in self.layers:
            theta, s = layer(theta, obs)
            ld = ld + s
        return 0.5 * theta.pow(2).sum(1) + math.log(2 * math.pi) - ld


def batch(n=256):
    theta = torch.randn(n, 2)
    obs = torch.stack([theta[:, 0] ** 2 + theta[:, 1], theta[:, 0] - theta[:, 1]], 1) + 0.1 * torch.randn(n, 2)
    return (theta, obs / 1.5), torch.zeros(n)


def loss(nll, _):
    return nll.mean()


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=2e-3)


CLIP_GRAD_NORM = 5.0

if __name__ == "__main__":
    m = Posterior()
    opt = optimizer(m)
    for i in range(300):
        x, _ = batch()
        l = loss(m(*x), None)
        opt.zero_grad()
        l.backward()
        nn.utils.clip_grad_norm_(m.parameters(), CLIP_GRAD_NORM)
        opt.step()
    print(l.item())
