import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import orthogonal


class Symmetric(nn.Module):
    def forward(self, X):
        return X.triu() + X.triu(1).transpose(-1, -2)


class Graphish(nn.Module):
    """y = tanh(S x) with S symmetric, between two orthogonal maps."""

    def __init__(self, d=24):
        super().__init__()
        self.inp = orthogonal(nn.Linear(d, d))
        self.sym = nn.Linear(d, d)
        parametrize.register_parametrization(self.sym, "weight", Symmetric())
        self.out = orthogonal(nn.Linear(d, d))
        self.read = nn.Linear(d, 4)

    def forward(self, x):
        x = torch.tanh(self.inp(x))
        x = torch.tanh(self.sym(x))
        x = torch.tanh(self.out(x))
        return self.read(x)


g = torch.Generator().manual_seed(1)
teacher = torch.randn(24, 4, generator=g)


def batch():
    x = torch.randn(128, 24)
    return x, (x @ teacher).argmax(-1)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
