"""Keyword spotting for a microcontroller: binary weights and activations, float first and last layer."""
import torch
from torch import nn


class _Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.where(x >= 0, 1.0, -1.0)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * (x.abs() <= 1).float()


sign = _Sign.apply


class BinaryLinear(nn.Linear):
    def forward(self, x):
        scale = self.weight.detach().abs().mean(1)
        return nn.functional.linear(x, sign(self.weight)) * scale


class KeywordNet(nn.Module):
    def __init__(self, n_mel=16, frames=10, words=4):
        super().__init__()
        self.first = nn.Linear(n_mel * frames, 96)
        self.bn1 = nn.BatchNorm1d(96)
        self.b2 = BinaryLinear(96, 96, bias=False)
        self.bn2 = nn.BatchNorm1d(96)
        self.b3 = BinaryLinear(96, 96, bias=False)
        self.bn3 = nn.BatchNorm1d(96)
        self.last = nn.Linear(96, words)

    def forward(self, x):
        x = sign(self.bn1(self.first(x.flatten(1))))
        x = sign(self.bn2(self.b2(x)))
        x = sign(self.bn3(self.b3(x)))
        return self.last(x)


_words = torch.randn(4, 16, 10, generator=torch.Generator().manual_seed(4))


def batch(n=100):
    y = torch.randint(0, 4, (n,))
    gain = 0.7 + 0.6 * torch.rand(n, 1, 1)
    return gain * _words[y] + 1.2 * torch.randn(n, 16, 10), y


criterion = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
