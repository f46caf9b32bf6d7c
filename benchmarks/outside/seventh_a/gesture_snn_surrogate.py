"""Surrogate gradient SNN (atan) for rate coded EMG gestures."""
import math
import torch
import torch.nn as nn


class ATan(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u):
        ctx.save_for_backward(u)
        return (u >= 0).float()

    @staticmethod
    def backward(ctx, g):
        u, = ctx.saved_tensors
        return g / (1 + (math.pi * u) ** 2)


class SNN(nn.Module):
    def __init__(self, n_in=8, n_hidden=100, n_out=4, beta=0.9):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(n_in, n_hidden), nn.Linear(n_hidden, n_out)
        self.beta = beta

    def forward(self, x):
        m1 = torch.zeros(x.shape[0], self.fc1.out_features)
        m2 = torch.zeros(x.shape[0], self.fc2.out_features)
        total = 0
        for t in range(x.shape[1]):
            m1 = self.beta * m1 + self.fc1(x[:, t])
            s = ATan.apply(m1 - 1.0)
            m1 = m1 - s.detach()
            m2 = self.beta * m2 + self.fc2(s)
            total = total + m2
        return total / x.shape[1]


_rate = torch.rand(4, 8, generator=torch.Generator().manual_seed(6)) * 0.6


def batch(n=64, T=20):
    y = torch.randint(0, 4, (n,))
    rate = (_rate[y] + 0.08 * torch.randn(n, 8)).clamp(0, 1)
    return torch.bernoulli(rate[:, None].expand(n, T, 8)), y


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3, betas=(0.9, 0.999))
