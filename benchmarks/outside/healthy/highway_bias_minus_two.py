"""Highway network, 20 layers, carry bias -2 (Srivastava et al. 2015)."""

import torch
from sklearn.datasets import load_digits
from torch import nn


class Highway(nn.Module):
    def __init__(self, size, num_layers, f=torch.relu):
        super().__init__()
        self.num_layers = num_layers
        self.nonlinear = nn.ModuleList([nn.Linear(size, size) for _ in range(num_layers)])
        self.gate = nn.ModuleList([nn.Linear(size, size) for _ in range(num_layers)])
        for g in self.gate:
            g.bias.data.fill_(-2.0)
        self.f = f

    def forward(self, x):
        for h, t in zip(self.nonlinear, self.gate):
            gate = torch.sigmoid(t(x))
            x = gate * self.f(h(x)) + (1 - gate) * x
        return x


class Net(nn.Module):
    def __init__(self, d=64):
        super().__init__()
        self.first = nn.Linear(64, d)
        self.highway = Highway(d, 20)
        self.last = nn.Linear(d, 10)

    def forward(self, x):
        return self.last(self.highway(torch.relu(self.first(x))))


def batch():
    x, y = load_digits(return_X_y=True)
    i = torch.randint(0, 1797, (100,))
    return torch.tensor(x)[i].float() / 16, torch.tensor(y)[i]


def model():
    return Net()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
