"""Binary weights and activations with a clipped straight-through estimator."""

import torch
from sklearn.datasets import load_digits
from torch import nn


class SignSTE(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.where(x >= 0, 1.0, -1.0)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * (x.abs() <= 1).to(grad.dtype)


sign = SignSTE.apply


class BinaryLinear(nn.Linear):
    def forward(self, x):
        return nn.functional.linear(x, sign(self.weight)) / self.in_features**0.5


class BinaryNet(nn.Module):
    def __init__(self, h=256):
        super().__init__()
        self.fc1 = BinaryLinear(64, h, bias=False)
        self.bn1 = nn.BatchNorm1d(h)
        self.fc2 = BinaryLinear(h, h, bias=False)
        self.bn2 = nn.BatchNorm1d(h)
        self.fc3 = nn.Linear(h, 10)

    def forward(self, x):
        x = sign(self.bn1(self.fc1(x)))
        x = sign(self.bn2(self.fc2(x)))
        return self.fc3(x)


def batch():
    x, y = load_digits(return_X_y=True)
    i = torch.randint(len(x), (128,))
    return torch.tensor(x, dtype=torch.float32)[i] / 8 - 1, torch.tensor(y)[i]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
