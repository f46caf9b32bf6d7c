import torch
from sklearn.datasets import load_wine
from torch import nn


class DEQ(nn.Module):
    """z* = relu(W z* + U x), found by plain iteration."""

    def __init__(self, d=40, n_in=13, iters=60):
        super().__init__()
        self.W = nn.Parameter(3.0 * nn.init.orthogonal_(torch.empty(d, d)))
        self.U = nn.Linear(n_in, d)
        self.out = nn.Linear(d, 3)
        self.iters = iters

    def forward(self, x):
        inject = self.U(x)
        z = torch.zeros_like(inject)
        for _ in range(self.iters):
            z = torch.relu(z @ self.W.T + inject)
        return self.out(z)


w = load_wine()
X = torch.tensor((w.data - w.data.mean(0)) / w.data.std(0), dtype=torch.float32)
Y = torch.tensor(w.target)


def batch():
    return X, Y


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.05)
