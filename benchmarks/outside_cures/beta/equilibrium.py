"""A small equilibrium network: z = tanh(W z + U x), iterated to its fixed point."""

import torch
from sklearn.datasets import load_digits
from torch import nn

digits = load_digits()
X = torch.tensor(digits.data, dtype=torch.float32) / 16
Y = torch.tensor(digits.target)
X, Y = X[:1300], Y[:1300]


class DEQ(nn.Module):
    def __init__(self, state=12, iterations=25):
        super().__init__()
        self.iterations = iterations
        self.inject = nn.Linear(64, state)
        self.recur = nn.Linear(state, state, bias=False)
        with torch.no_grad():
            self.recur.weight.mul_(0.8)
        self.classify = nn.Linear(state, 10)

    def f(self, z, x):
        return torch.tanh(self.recur(z) + self.inject(x))

    def forward(self, x):
        z = torch.zeros(len(x), self.recur.in_features)
        with torch.no_grad():
            for _ in range(self.iterations):
                z = self.f(z, x)
        return self.classify(z)


def model():
    return DEQ()


def data(seed=0):
    for i in torch.randperm(1300, generator=torch.Generator().manual_seed(seed)).split(65):
        yield X[i], Y[i]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
