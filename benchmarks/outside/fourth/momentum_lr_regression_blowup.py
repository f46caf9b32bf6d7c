"""Concrete strength from the mixture. Standardised, plain MSE, SGD with momentum."""
import torch
from sklearn.datasets import make_friedman2
from torch import nn

X, y = make_friedman2(1200, noise=5.0, random_state=4)
X = torch.tensor((X - X.mean(0)) / X.std(0), dtype=torch.float32)
y = torch.tensor((y - y.mean()) / y.std(), dtype=torch.float32)


class Strength:
    def model(self):
        return nn.Sequential(nn.Linear(4, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 1))

    def batch(self):
        i = torch.randint(0, len(X), (64,))
        return X[i], y[i, None]

    def loss(self, output, target):
        return ((output - target) ** 2).mean()

    def optimizer(self, model):
        return torch.optim.SGD(model.parameters(), lr=3.0, momentum=0.9)
