"""Residual MLP whose blocks are skipped at random while training (survival 1.0 -> 0.5)."""

import torch
from sklearn.datasets import load_digits
from torch import nn


class DropPathBlock(nn.Module):
    def __init__(self, d, keep):
        super().__init__()
        self.keep = keep
        self.body = nn.Sequential(
            nn.BatchNorm1d(d),
            nn.ReLU(),
            nn.Linear(d, d),
            nn.BatchNorm1d(d),
            nn.ReLU(),
            nn.Linear(d, d),
        )

    def forward(self, x):
        if not self.training:
            return x + self.body(x)
        mask = (torch.rand(len(x), 1) < self.keep).float() / self.keep
        return x + mask * self.body(x)


def build(depth=10, d=64):
    keeps = torch.linspace(1.0, 0.5, depth).tolist()
    return nn.Sequential(
        nn.Linear(64, d), *[DropPathBlock(d, k) for k in keeps], nn.BatchNorm1d(d), nn.Linear(d, 10)
    )


def batch():
    x, y = load_digits(return_X_y=True)
    sel = torch.randperm(1797)[:128]
    return torch.tensor(x[sel.numpy()] / 16, dtype=torch.float32), torch.tensor(y)[sel]


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
