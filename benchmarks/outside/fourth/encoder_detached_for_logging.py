"""Digits -> 2d code -> digit. The code is kept for plotting."""
import torch
from sklearn.datasets import load_digits
from torch import nn

digits = load_digits()
X = torch.tensor(digits.data / 16.0 - 0.3, dtype=torch.float32)
Y = torch.tensor(digits.target)


class BottleneckClassifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
        self.classifier = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 10))
        self.last_code = None

    def forward(self, x):
        code = self.encoder(x)
        self.last_code = code = code.detach()
        return self.classifier(code)


def batch():
    rows = torch.randint(len(X), (128,))
    return X[rows], Y[rows]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
