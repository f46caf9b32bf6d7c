"""Classify digits through a 24-bit binary code (sign with a straight-through gradient)."""

import torch
from sklearn.datasets import load_digits
from torch import nn

_d = load_digits()
_x = torch.tensor(_d.data, dtype=torch.float32) / 8 - 1
_y = torch.tensor(_d.target)
X, Y = _x[:1400], _y[:1400]


class Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, v):
        ctx.save_for_backward(v)
        return torch.where(v >= 0, 1.0, -1.0)

    @staticmethod
    def backward(ctx, grad):
        (v,) = ctx.saved_tensors
        return grad * (v.abs() < 1.5)


class Coder(nn.Module):
    def __init__(self, bits=24):
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, bits), nn.BatchNorm1d(bits))
        self.decode = nn.Linear(bits, 10)

    def forward(self, x):
        return self.decode(Sign.apply(self.encode(x)))


def model():
    return Coder()


def data(seed=0):
    for i in torch.randperm(1400, generator=torch.Generator().manual_seed(seed)).split(70):
        yield X[i], Y[i]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
