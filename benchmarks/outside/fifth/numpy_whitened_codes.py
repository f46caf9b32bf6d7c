# 3-d codes of digits, whitened with numpy because I know it better
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

X, Y = load_digits(return_X_y=True)
X = torch.tensor(X / 16.0, dtype=torch.float32)
Y = torch.tensor(Y)


class CodeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3))
        self.decoder = nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 10))

    def forward(self, x):
        z = self.encoder(x)
        codes = z.detach().numpy()
        codes = (codes - codes.mean(axis=0)) / (codes.std(axis=0) + 1e-5)
        return self.decoder(torch.from_numpy(codes))


def loss(pred, target):
    return nn.functional.cross_entropy(pred, target)


def batch():
    i = torch.randint(0, len(X), (128,))
    return X[i], Y[i]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
