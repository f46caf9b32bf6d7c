"""Friedman #1 regression, targets in their own units (about 14 +- 5)."""

import torch
from sklearn.datasets import make_friedman1
from torch import nn

FEATURES, TARGET = make_friedman1(n_samples=2000, noise=1.0, random_state=1)
FEATURES = torch.as_tensor(FEATURES, dtype=torch.float32)
TARGET = torch.as_tensor(TARGET, dtype=torch.float32)


class Regressor(nn.Module):
    def __init__(self, n_in=10, width=128, p=0.05):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(n_in, width),
            nn.GELU(),
            nn.Dropout(p),
            nn.Linear(width, width),
            nn.GELU(),
            nn.Dropout(p),
        )
        self.out = nn.Linear(width, 1)

    def forward(self, x):
        return self.out(self.body(x)).squeeze(-1)


def batch():
    i = torch.randint(len(FEATURES), (128,))
    return FEATURES[i], TARGET[i]


loss_fn = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
