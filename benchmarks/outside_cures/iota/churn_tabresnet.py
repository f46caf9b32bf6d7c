"""Churn within 90 days. Tabular ResNet (Gorishniy et al. 2021), nine columns.

People are people: what we know about a customer says only so much.
"""
import torch
from torch import nn

COLS = 9


def customers(n, seed):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, COLS, generator=g)
    x[:, 5] = torch.exp(0.5 * x[:, 5])  # tenure
    score = torch.sin(1.5 * x[:, 0]) + 0.6 * x[:, 1] * x[:, 2] - 0.4 * x[:, 3]
    leaning = (score > 0).float()
    flip = torch.rand(n, generator=g) < 0.3
    y = torch.where(flip, 1 - leaning, leaning)
    return x, y


class ResBlock(nn.Module):
    def __init__(self, d, p):
        super().__init__()
        self.norm = nn.BatchNorm1d(d)
        self.up, self.down = nn.Linear(d, 2 * d), nn.Linear(2 * d, d)
        self.drop = nn.Dropout(p)
        nn.init.zeros_(self.down.weight)
        nn.init.zeros_(self.down.bias)

    def forward(self, x):
        return x + self.down(self.drop(torch.relu(self.up(self.norm(x)))))


class TabResNet(nn.Module):
    def __init__(self, d=48, blocks=3, p=0.1):
        super().__init__()
        self.first = nn.Linear(COLS, d)
        self.blocks = nn.Sequential(*[ResBlock(d, p) for _ in range(blocks)])
        self.last = nn.Sequential(nn.BatchNorm1d(d), nn.ReLU(), nn.Linear(d, 1))
        nn.init.zeros_(self.last[-1].weight)  # start from 50:50

    def forward(self, x):
        return self.last(self.blocks(self.first(x))).squeeze(1)


x_train, y_train = customers(12000, 0)


def model():
    return TabResNet()


def data():
    for i in torch.randperm(len(x_train)).split(128)[:-1]:
        yield x_train[i], y_train[i]


loss = nn.BCEWithLogitsLoss()


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-2)
