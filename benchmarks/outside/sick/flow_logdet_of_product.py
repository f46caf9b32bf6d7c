import math

import torch
from sklearn.datasets import load_digits
from torch import nn

DATA = torch.tensor(load_digits().data, dtype=torch.float32)
DATA = DATA + torch.rand_like(DATA)


class DiagonalFlow(nn.Module):
    """x -> scale * x + shift, then a rotation; likelihood of the pixels."""

    def __init__(self, d=64):
        super().__init__()
        self.scale = nn.Parameter(torch.full((d,), 0.05))
        self.shift = nn.Parameter(torch.zeros(d))
        self.register_buffer("rot", torch.linalg.qr(torch.randn(d, d))[0])

    def forward(self, x):
        z = (self.scale * x + self.shift) @ self.rot
        logdet = torch.log(torch.abs(torch.prod(self.scale)))
        return z, logdet


def loss(output, x):
    z, logdet = output
    d = x.shape[1]
    return (0.5 * (z**2).sum(1) + 0.5 * d * math.log(2 * math.pi) - logdet).mean() / d


def batch(n=256):
    x = DATA[torch.randint(0, len(DATA), (n,))]
    return x, x


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
