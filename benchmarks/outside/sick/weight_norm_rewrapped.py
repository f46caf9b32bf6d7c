import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn


class WNLinear(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.v = nn.Parameter(torch.randn(n_out, n_in))
        self.g = nn.Parameter(torch.ones(n_out))
        self.b = nn.Parameter(torch.zeros(n_out))

    def forward(self, x):
        w = nn.Parameter(self.v / self.v.norm(dim=1, keepdim=True))
        return F.linear(x, w) * self.g + self.b


class NormalisedMLP(nn.Module):
    def __init__(self, hidden=8):
        super().__init__()
        self.l1 = WNLinear(64, hidden)
        self.l2 = WNLinear(hidden, hidden)
        self.l3 = WNLinear(hidden, 10)

    def forward(self, x):
        x = F.relu(self.l1(x))
        x = F.relu(self.l2(x))
        return self.l3(x)


def batch():
    x, y = load_digits(return_X_y=True)
    return torch.tensor(x / 16, dtype=torch.float32)[:600], torch.tensor(y)[:600]


def loss(out, y):
    return F.cross_entropy(out, y)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)
