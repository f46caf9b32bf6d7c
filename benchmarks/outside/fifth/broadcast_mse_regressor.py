import torch
import torch.nn as nn
from sklearn.datasets import make_friedman1

X, y = make_friedman1(1500, noise=0.3, random_state=0)
X = torch.from_numpy((X - 0.5) * 3.4).float()
y = torch.from_numpy((y - y.mean()) / y.std()).float()


class Regressor(nn.Module):
    def __init__(self):
        super().__init__()
        self.h1 = nn.Linear(10, 64)
        self.h2 = nn.Linear(64, 64)
        self.out = nn.Linear(64, 1)

    def forward(self, x):
        x = torch.relu(self.h1(x))
        x = torch.relu(self.h2(x))
        return self.out(x)


def loss(prediction, target):
    return ((prediction - target) ** 2).mean()


def batch():
    i = torch.randint(0, 1500, (64,))
    return X[i], y[i]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
