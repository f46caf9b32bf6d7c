"""MLP without nn.Linear, for understanding"""
import torch
from sklearn.datasets import load_diabetes
from torch import nn

d = load_diabetes()
X = torch.tensor((d.data - d.data.mean(0)) / d.data.std(0)).float()
y = torch.tensor((d.target - d.target.mean()) / d.target.std()).float().unsqueeze(1)


class HandMLP(nn.Module):
    def __init__(self, sizes=(10, 100, 100, 100, 100, 1)):
        super().__init__()
        self.W = nn.ParameterList([nn.Parameter(torch.randn(a, b)) for a, b in zip(sizes, sizes[1:])])
        self.b = nn.ParameterList([nn.Parameter(torch.zeros(b)) for b in sizes[1:]])

    def forward(self, x):
        for i, (W, b) in enumerate(zip(self.W, self.b)):
            x = x @ W + b
            if i < len(self.W) - 1:
                x = x.relu()
        return x


def loss(pred, true):
    return ((pred - true) ** 2).mean()


def batch():
    i = torch.randint(0, len(X), (64,))
    return X[i], y[i]


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=1e-2)
