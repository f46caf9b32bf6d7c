"""Twenty hidden layers, every one with batch norm, on covtype-like synthetic data."""
import torch
from sklearn.datasets import make_classification
from torch import nn

X, y = make_classification(3000, 20, n_informative=10, n_classes=4, class_sep=1.5, random_state=21)
X = torch.tensor(X, dtype=torch.float32)
y = torch.tensor(y)


def mlp(depth=20, width=64):
    blocks, n = [], 20
    for _ in range(depth):
        blocks += [nn.Linear(n, width, bias=False), nn.BatchNorm1d(width), nn.ReLU()]
        n = width
    return nn.Sequential(*blocks, nn.Linear(n, 4))


def batch():
    i = torch.randint(3000, (128,))
    return X[i], y[i]


loss = "cross_entropy"


def optimizer(net):
    return torch.optim.Adam(net.parameters(), lr=1e-3)
