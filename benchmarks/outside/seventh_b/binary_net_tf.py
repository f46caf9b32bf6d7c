"""Binarised activations, after our TF 1.15 code."""
import torch
from torch import nn
from sklearn.datasets import load_digits

d = load_digits()
X = torch.tensor(d.data, dtype=torch.float32) / 8.0 - 1.0
Y = torch.tensor(d.target)


class BinaryActivation(nn.Module):
    def forward(self, x):
        return torch.sign(x)


class BinaryMLP(nn.Module):
    def __init__(self, width=24):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(64, width), nn.BatchNorm1d(width), BinaryActivation(),
            nn.Linear(width, width), nn.BatchNorm1d(width), BinaryActivation(),
            nn.Linear(width, 10),
        )

    def forward(self, x):
        return self.net(x)


def loss(logits, y):
    return nn.functional.cross_entropy(logits, y)


def batch():
    i = torch.randint(0, len(X), (96,))
    return X[i], Y[i]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
