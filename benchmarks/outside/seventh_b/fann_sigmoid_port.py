# fann -> torch.
import torch
import torch.nn as nn
from sklearn.datasets import load_digits

LAYERS = [64, 48, 48, 48, 48, 48, 48, 48, 48, 10]


def make_net(layers=LAYERS):
    mods = []
    for a, b in zip(layers[:-2], layers[1:-1]):
        mods.append(nn.Linear(a, b))
        mods.append(nn.Sigmoid())
    mods.append(nn.Linear(layers[-2], layers[-1]))
    return nn.Sequential(*mods)


_d = load_digits()
_x = (torch.tensor(_d.data, dtype=torch.float32) - 4.88) / 6.02
_y = torch.tensor(_d.target)


def batch():
    i = torch.randint(0, len(_x), (100,))
    return _x[i], _y[i]


def loss(out, y):
    return nn.functional.cross_entropy(out, y)


def optimizer(m):
    return torch.optim.SGD(m.parameters(), lr=0.1, momentum=0.9)
