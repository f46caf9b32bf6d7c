"""Neural ODE, fixed-step Euler, on three interleaved spirals."""
import torch
import torch.nn as nn


def spirals(n, seed):
    g = torch.Generator().manual_seed(seed)
    c = torch.randint(0, 3, (n,), generator=g)
    r = 0.2 + 0.8 * torch.rand(n, generator=g)
    a = 3.0 * r + c * 2.0944 + 0.1 * torch.randn(n, generator=g)
    return torch.stack([r * a.cos(), r * a.sin()], 1) * 2, c


class Field(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.a = nn.Linear(dim, hidden)
        self.b = nn.Linear(hidden, dim)
        for lin in (self.a, self.b):
            nn.init.kaiming_normal_(lin.weight)
            nn.init.zeros_(lin.bias)

    def forward(self, x):
        return self.b(torch.relu(self.a(x)))


class NeuralODE(nn.Module):
    n_steps = 40
    step_size = 1.0

    def __init__(self, dim=16, hidden=32):
        super().__init__()
        self.lift = nn.Linear(2, dim)
        self.field = Field(dim, hidden)
        self.head = nn.Linear(dim, 3)

    def forward(self, x):
        x = self.lift(x)
        for _ in range(self.n_steps):
            x = x + self.step_size * self.field(x)
        return self.head(x)


X, C = spirals(1500, 0)


def model():
    return NeuralODE()


def data():
    for idx in torch.randperm(len(X)).split(64):
        yield X[idx], C[idx]


def loss(output, target):
    return nn.functional.cross_entropy(output, target)


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
