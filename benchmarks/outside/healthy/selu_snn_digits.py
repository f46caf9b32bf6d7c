"""Self-normalising network on the small digits (Klambauer et al. 2017)."""

import math

import torch
from sklearn.datasets import load_digits
from sklearn.preprocessing import scale
from torch import nn


def snn(sizes, dropout=0.02):
    mods = []
    for a, b in zip(sizes[:-2], sizes[1:-1]):
        lin = nn.Linear(a, b)
        nn.init.normal_(lin.weight, std=1 / math.sqrt(a))
        nn.init.zeros_(lin.bias)
        mods += [lin, nn.SELU(inplace=True), nn.AlphaDropout(dropout)]
    last = nn.Linear(sizes[-2], sizes[-1])
    nn.init.normal_(last.weight, std=1 / math.sqrt(sizes[-2]))
    return nn.Sequential(*mods, last)


def model():
    return snn([64] + [96] * 12 + [10])


digits = load_digits()
x_all = torch.from_numpy(scale(digits.data)).float()
y_all = torch.from_numpy(digits.target)


def data():
    perm = torch.randperm(len(x_all))
    for chunk in perm.split(100)[:-1]:
        yield x_all[chunk], y_all[chunk]


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.01)
