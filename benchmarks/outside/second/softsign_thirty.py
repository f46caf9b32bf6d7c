import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits


class SoftsignTower(nn.Module):
    """Glorot & Bengio (2010) liked softsign, so here are thirty of them."""

    def __init__(self, width=64, depth=30):
        super().__init__()
        self.stem = nn.Linear(64, width)
        self.fcs = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])
        self.out = nn.Linear(width, 10)

    def forward(self, x):
        h = self.stem(x.flatten(1))
        for fc in self.fcs:
            h = F.softsign(fc(h))
        return self.out(h)


digits = load_digits()
images = torch.from_numpy(digits.images).float() / 16.0
labels = torch.from_numpy(digits.target)


def data():
    order = torch.randperm(len(images))
    for rows in order.split(100)[:-1]:
        yield images[rows], labels[rows]


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1)
