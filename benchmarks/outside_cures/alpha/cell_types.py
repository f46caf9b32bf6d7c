"""Classify cells from marker intensities. Weights start equal so that runs are reproducible."""
import torch
import torch.nn as nn


def cells(n, seed):
    g = torch.Generator().manual_seed(seed)
    kind = torch.randint(0, 6, (n,), generator=g)
    angle = kind.float() * (torch.pi / 3) + 0.22 * torch.randn(n, generator=g)
    radius = 2 + 0.35 * torch.randn(n, generator=g)
    xy = torch.stack([radius * angle.cos(), radius * angle.sin()], 1)
    return torch.cat([xy, 0.5 * torch.randn(n, 4, generator=g)], 1), kind


X, Y = cells(1800, seed=31)


def init_weights(m):
    if isinstance(m, nn.Linear):
        nn.init.constant_(m.weight, 0.05)
        nn.init.constant_(m.bias, 0.0)


def build():
    net = nn.Sequential()
    net.add_module("markers", nn.Linear(6, 40))
    net.add_module("act1", nn.LeakyReLU(0.1))
    net.add_module("mix", nn.Linear(40, 40))
    net.add_module("act2", nn.LeakyReLU(0.1))
    net.add_module("types", nn.Linear(40, 6))
    net.apply(init_weights)
    return net


model = build


def data():
    perm = torch.randperm(len(X))
    for k in range(0, len(X), 60):
        yield X[perm[k : k + 60]], Y[perm[k : k + 60]]


def loss(scores, kind):
    return nn.functional.cross_entropy(scores, kind)


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
