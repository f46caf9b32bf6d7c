"""Leaky integrate-and-fire network with a fast-sigmoid surrogate gradient."""

import torch
from sklearn.datasets import load_digits
from torch import nn


class Spike(torch.autograd.Function):
    scale = 10.0

    @staticmethod
    def forward(ctx, v):
        ctx.save_for_backward(v)
        return (v > 0).float()

    @staticmethod
    def backward(ctx, g):
        (v,) = ctx.saved_tensors
        return g / (Spike.scale * v.abs() + 1.0) ** 2


class SNN(nn.Module):
    def __init__(self, hidden=100, steps=20, beta=0.9):
        super().__init__()
        self.fc1 = nn.Linear(64, hidden)
        self.fc2 = nn.Linear(hidden, 10)
        self.steps, self.beta = steps, beta

    def forward(self, x):
        v1 = torch.zeros(x.shape[0], self.fc1.out_features)
        v2 = torch.zeros(x.shape[0], 10)
        out = 0.0
        for _ in range(self.steps):
            v1 = self.beta * v1 + self.fc1(x)
            s1 = Spike.apply(v1 - 1.0)
            v1 = v1 - s1.detach()
            v2 = self.beta * v2 + self.fc2(s1)
            out = out + v2
        return out / self.steps


def model():
    return SNN()


def batch():
    x, y = load_digits(return_X_y=True)
    i = torch.randint(0, 1797, (128,))
    return torch.tensor(x)[i].float() / 16, torch.tensor(y)[i]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
