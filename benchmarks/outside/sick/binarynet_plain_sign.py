import torch
from sklearn.datasets import load_digits
from torch import nn


class BinaryMLP(nn.Module):
    def __init__(self, sizes=(64, 16, 16, 16)):
        super().__init__()
        self.fcs = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))
        self.bns = nn.ModuleList(nn.BatchNorm1d(b) for b in sizes[1:])
        self.last = nn.Linear(sizes[-1], 10)

    def forward(self, x):
        for fc, bn in zip(self.fcs, self.bns):
            x = torch.sign(bn(fc(x)))
        return self.last(x)


def data(bs=64):
    x, y = load_digits(return_X_y=True)
    x, y = torch.tensor(x / 8 - 1).float(), torch.tensor(y)
    for idx in torch.randperm(len(y))[: len(y) // bs * bs].split(bs):
        yield x[idx], y[idx]


criterion = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
