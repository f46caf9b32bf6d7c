from dataclasses import dataclass, field

import torch
from sklearn.datasets import make_moons
from torch import nn


@dataclass
class Config:
    inputs: int = 2
    hidden: list = field(default_factory=lambda: [16, 16, 8])
    classes: int = 2
    lr: float = 1e-2


cfg = Config()
pts, side = make_moons(1500, noise=0.08, random_state=1)
pts = torch.tensor(pts, dtype=torch.float32)
side = torch.tensor(side)


class MLP(nn.Module):
    def __init__(self, cfg=cfg):
        super().__init__()
        dims = [cfg.inputs] + cfg.hidden
        self.hidden = [nn.Linear(a, b) for a, b in zip(dims, dims[1:])]
        self.out = nn.Linear(dims[-1], cfg.classes)

    def forward(self, x):
        for layer in self.hidden:
            x = torch.tanh(layer(x))
        return self.out(x)


def loss(out, y):
    return nn.functional.cross_entropy(out, y)


def batch():
    i = torch.randint(0, 1500, (64,))
    return pts[i], side[i]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=cfg.lr)
