"""ANIL: only the head is adapted in the inner loop, gradients flow through three inner steps (sinusoids)."""
import math

import torch
from torch import nn


class ANIL(nn.Module):
    def __init__(self, width=40, inner_lr=0.1, inner_steps=3):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(1, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.w = nn.Parameter(torch.zeros(width))
        self.b = nn.Parameter(torch.zeros(()))
        self.inner_lr, self.inner_steps = inner_lr, inner_steps

    def forward(self, xs, ys, xq):
        hs, hq = self.body(xs), self.body(xq)
        w = self.w.expand(len(xs), -1)
        b = self.b.expand(len(xs))
        for _ in range(self.inner_steps):
            err = (hs @ w[..., None]).squeeze(-1) + b[:, None] - ys
            w = w - self.inner_lr * 2 * (err[..., None] * hs).mean(1)
            b = b - self.inner_lr * 2 * err.mean(1)
        return (hq @ w[..., None]).squeeze(-1) + b[:, None]


def batch(tasks=25, k=10):
    amp = 0.5 + 2 * torch.rand(tasks, 1)
    phase = math.pi * torch.rand(tasks, 1)
    xs, xq = (6 * torch.rand(tasks, k, 1) - 3 for _ in range(2))
    f = lambda x: amp * torch.sin(x.squeeze(-1) + phase)  # noqa: E731
    return (xs, f(xs), xq), f(xq)


loss = nn.MSELoss()


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=2e-3)


if __name__ == "__main__":
    m = ANIL()
    opt = optimizer(m)
    for i in range(800):
        x, y = batch()
        l = loss(m(*x), y)
        opt.zero_grad()
        l.backward()
        opt.step()
    print(l.item())
