import torch
from sklearn.datasets import load_digits
from torch import nn


def build():
    net = nn.Sequential(
        nn.Linear(64, 128), nn.GELU(), nn.Linear(128, 128), nn.GELU(), nn.Linear(128, 10)
    )
    return net.to(torch.bfloat16)


def data():
    x, y = load_digits(return_X_y=True)
    x = torch.tensor(x / 16).float().bfloat16()
    y = torch.tensor(y)
    for i in torch.randperm(len(y)).split(64):
        yield x[i], y[i]


def loss(out, y):
    return nn.functional.cross_entropy(out.float(), y)


def optimizer(net):
    return torch.optim.Adam(net.parameters(), lr=2e-5)
