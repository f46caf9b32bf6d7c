"""Digit classifier, how far can we get with dense layers only?"""
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits


@dataclass
class Config:
    n_in: int = 64
    n_hidden: int = 64
    n_layers: int = 22
    n_out: int = 10
    lr: float = 0.05
    batch_size: int = 64


cfg = Config()

_d = load_digits()
X = torch.tensor(_d.data, dtype=torch.float32) / 16.0
Y = torch.tensor(_d.target)
perm = torch.randperm(len(X), generator=torch.Generator().manual_seed(7))
TRAIN, VALID = perm[:1200], perm[1200:1500]


class Tower(nn.Module):
    def __init__(self, cfg: Config):
        super().__init__()
        self.inp = nn.Linear(cfg.n_in, cfg.n_hidden)
        self.hidden = nn.ModuleList(
            [nn.Linear(cfg.n_hidden, cfg.n_hidden) for _ in range(cfg.n_layers)]
        )
        self.out = nn.Linear(cfg.n_hidden, cfg.n_out)

    def forward(self, x):
        x = F.relu(self.inp(x))
        for layer in self.hidden:
            x = F.relu(layer(x))
        return self.out(x)


def model():
    return Tower(cfg)


def data(seed=0):
    g = torch.Generator().manual_seed(seed)
    order = TRAIN[torch.randperm(len(TRAIN), generator=g)]
    for idx in order.split(cfg.batch_size):
        yield X[idx], Y[idx]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=cfg.lr, momentum=0.9)


def metric(model):
    model.eval()
    with torch.no_grad():
        acc = (model(X[VALID]).argmax(1) == Y[VALID]).float().mean().item()
    model.train()
    return acc


GOAL = 0.85
HIGHER_IS_BETTER = True
