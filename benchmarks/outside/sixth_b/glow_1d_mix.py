"""Small Glow: actnorm, invertible linear, affine coupling with zero-initialised last layer."""
import math
import torch
import torch.nn as nn

D = 4


class Step(nn.Module):
    def __init__(self, hid=48):
        super().__init__()
        self.logs = nn.Parameter(torch.zeros(D))
        self.bias = nn.Parameter(torch.zeros(D))
        self.W = nn.Parameter(torch.linalg.qr(torch.randn(D, D))[0])
        last = nn.Linear(hid, D)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.net = nn.Sequential(nn.Linear(D // 2, hid), nn.ReLU(), nn.Linear(hid, hid), nn.ReLU(), last)

    def forward(self, x):
        x = (x + self.bias) * self.logs.exp()
        x = x @ self.W
        a, b = x.chunk(2, 1)
        s, t = self.net(a).chunk(2, 1)
        s = torch.tanh(s)
        x = torch.cat([a, b * s.exp() + t], 1)
        return x, self.logs.sum() + torch.linalg.slogdet(self.W)[1] + s.sum(1)


class Glow(nn.Module):
    def __init__(self, K=5):
        super().__init__()
        self.steps = nn.ModuleList(Step() for _ in range(K))

    def forward(self, x):
        ld = 0.0
        for s in self.steps:
            x, l = s(x)
            ld = ld + l
        return x, ld


def batch(n=256):
    a = torch.rand(n, 1) * 6.28
    k = torch.randint(0, 2, (n,))
    r = 1.0 + k[:, None].float()
    x = torch.cat([r * a.cos(), r * a.sin(), torch.sin(2 * a), r - 1.5], 1)
    return x + 0.1 * torch.randn(n, D), k


def loss(out, _):
    z, ld = out
    return (0.5 * (z ** 2).sum(1) + 0.5 * D * math.log(2 * math.pi) - ld).mean()


def optimizer(model):
    return torch.optim.Adamax(model.parameters(), lr=5e-3)
