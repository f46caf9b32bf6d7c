import torch
from sklearn.datasets import make_moons
from torch import nn


class ODEFunc(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.a = nn.Linear(d, d)
        self.b = nn.Linear(d, d)
        self.scale = 6.0

    def forward(self, t, z):
        return self.scale * self.b(torch.nn.functional.softplus(self.a(z)) + 0.01 * t)


class ODENet(nn.Module):
    def __init__(self, d=32, steps=60):
        super().__init__()
        self.lift = nn.Linear(2, d)
        self.func = ODEFunc(d)
        self.read = nn.Linear(d, 2)
        self.steps = steps

    def forward(self, x):
        z = self.lift(x)
        for k in range(self.steps):
            z = z + self.func(k / self.steps, z)
        return self.read(z)


def batch():
    x, y = make_moons(200, noise=0.1, random_state=0)
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
