import torch
import torch.nn as nn
from dataclasses import dataclass


@dataclass
class HParams:
    width: int = 64
    depth: int = 5
    keep: float = 0.9
    lr: float = 2e-3


hp = HParams()


def applicants(n, seed):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 12, generator=g)
    risk = (
        1.5 * x[:, 0] * x[:, 1]
        + 1.2 * torch.where(x[:, 2] > 0, x[:, 3], -x[:, 3])
        + 0.8 * (x[:, 4] ** 2 - 1)
        + 0.5 * x[:, 5]
    )
    p = torch.sigmoid(2.5 * risk)
    return x, (torch.rand(n, generator=g) < p).float()


X, DEFAULT = applicants(4000, seed=3)
X_VAL, DEFAULT_VAL = applicants(600, seed=4)


def mlp(hp):
    layers, n = [], 12
    for _ in range(hp.depth):
        layers += [nn.Linear(n, hp.width), nn.ReLU(), nn.Dropout(hp.keep)]
        n = hp.width
    return nn.Sequential(*layers, nn.Linear(n, 1), nn.Flatten(0))


def model():
    return mlp(hp)


def data():
    for i in torch.randperm(len(X)).split(80):
        yield X[i], DEFAULT[i]


loss = nn.BCEWithLogitsLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=hp.lr)


def metric(model):
    model.eval()
    with torch.no_grad():
        acc = ((model(X_VAL) > 0) == (DEFAULT_VAL > 0.5)).float().mean().item()
    model.train()
    return acc
