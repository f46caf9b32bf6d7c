"""Equilibrium layer, solver without graph, then one differentiable step (Jacobian-free)."""
import torch
import torch.nn as nn
from sklearn.datasets import load_digits


class DEQ(nn.Module):
    def __init__(self, n=48, max_iter=20):
        super().__init__()
        self.inject = nn.Linear(64, n)
        self.w = nn.Linear(n, n, bias=False)
        nn.init.orthogonal_(self.w.weight, gain=0.7)
        self.norm = nn.LayerNorm(n)
        self.cls = nn.Linear(n, 10)
        self.max_iter = max_iter

    def f(self, z, u):
        return torch.tanh(self.w(z) + u)

    def forward(self, x):
        u = self.inject(x)
        with torch.no_grad():
            z = torch.zeros_like(u)
            for _ in range(self.max_iter):
                z = self.f(z, u)
        z = self.f(z, u)
        return self.cls(self.norm(z))


dd = load_digits()
X, y = torch.tensor(dd.data, dtype=torch.float32) / 8 - 1, torch.tensor(dd.target)


def batch():
    i = torch.randint(0, len(X), (128,))
    return X[i], y[i]


criterion = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
