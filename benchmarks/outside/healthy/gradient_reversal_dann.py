"""DANN: the domain head's gradient is turned round on its way to the features."""

import torch
from sklearn.datasets import load_digits
from torch import nn


class ReverseGrad(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, lam):
        ctx.lam = lam
        return x.view_as(x)

    @staticmethod
    def backward(ctx, g):
        return -ctx.lam * g, None


class DANN(nn.Module):
    def __init__(self, lam=0.2):
        super().__init__()
        self.features = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 64), nn.ReLU())
        self.label = nn.Linear(64, 10)
        self.domain = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 2))
        self.lam = lam

    def forward(self, x):
        f = self.features(x)
        return self.label(f), self.domain(ReverseGrad.apply(f, self.lam))


X = torch.tensor(load_digits().data / 16 - 0.3, dtype=torch.float32)
Y = torch.tensor(load_digits().target)


def batch(n=64):
    i, j = torch.randint(0, 1797, (n,)), torch.randint(0, 1797, (n,))
    x = torch.cat([X[i], -X[j] + 0.1])  # target domain: inverted pictures without labels
    return x, (Y[i], torch.arange(2).repeat_interleave(n))


def loss(output, target):
    cls, dom = output
    y, d = target
    ce = nn.functional.cross_entropy
    return ce(cls[: len(y)], y) + ce(dom, d)


def model():
    return DANN()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
