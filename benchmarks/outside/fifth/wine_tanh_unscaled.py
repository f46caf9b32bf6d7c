import torch
from sklearn.datasets import load_wine
from torch import nn

data = load_wine()
X = torch.tensor(data.data, dtype=torch.float32)
y = torch.tensor(data.target)


def build():
    return nn.Sequential(
        nn.Linear(13, 32), nn.Tanh(),
        nn.Linear(32, 32), nn.Tanh(),
        nn.Linear(32, 3),
    )


def batch():
    i = torch.randperm(len(X))[:32]
    return X[i], y[i]


def loss(out, target):
    return nn.functional.cross_entropy(out, target)


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.05)
