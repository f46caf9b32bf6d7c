import torch
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import scale
from torch import nn

A, b = load_breast_cancer(return_X_y=True)
A, b = torch.tensor(scale(A)).float(), torch.tensor(b)


class SoftTree(nn.Module):
    def __init__(self, depth=3, n_in=30, classes=2):
        super().__init__()
        self.depth = depth
        self.inner = nn.Linear(n_in, 2**depth - 1)
        self.leaves = nn.Parameter(torch.randn(2**depth, classes) * 0.1)

    def forward(self, x):
        right = torch.sigmoid(self.inner(x))
        mu = torch.ones(len(x), 1)
        start = 0
        for level in range(self.depth):
            r = right[:, start : start + 2**level]
            mu = torch.stack([mu * (1 - r), mu * r], 2).flatten(1)
            start += 2**level
        return (mu @ self.leaves.softmax(1)).log()


def batch():
    i = torch.randint(len(A), (64,))
    return A[i], b[i]


def loss(logp, y):
    return nn.functional.nll_loss(logp, y)


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=0.01)
