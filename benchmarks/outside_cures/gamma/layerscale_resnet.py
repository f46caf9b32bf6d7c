from dataclasses import dataclass

import torch
import torch.nn as nn
from sklearn.datasets import load_digits


@dataclass(frozen=True)
class Cfg:
    width: int = 48
    depth: int = 20
    layer_scale: float = 1e-4
    lr: float = 3e-3


class Block(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.norm = nn.LayerNorm(cfg.width)
        self.up = nn.Linear(cfg.width, 2 * cfg.width)
        self.down = nn.Linear(2 * cfg.width, cfg.width)
        self.gamma = nn.Parameter(torch.full((cfg.width,), cfg.layer_scale))

    def forward(self, x):
        return x + self.gamma * self.down(nn.functional.gelu(self.up(self.norm(x))))


class DeepMLP(nn.Module):
    def __init__(self, cfg=None):
        super().__init__()
        cfg = cfg or Cfg()
        self.stem = nn.Linear(64, cfg.width)
        self.blocks = nn.ModuleList([Block(cfg) for _ in range(cfg.depth)])
        self.norm = nn.LayerNorm(cfg.width)
        self.head = nn.Linear(cfg.width, 10)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x):
        x = self.stem(x)
        for b in self.blocks:
            x = b(x)
        return self.head(self.norm(x))


def model():
    return DeepMLP(Cfg())


bunch = load_digits()
x = torch.tensor(bunch.data, dtype=torch.float32) / 16
y = torch.tensor(bunch.target)
split = torch.randperm(len(x), generator=torch.Generator().manual_seed(99))
train, valid, test = split[:1200], split[1200:1450], split[1450:]


def data():
    for b in train[torch.randperm(len(train))].split(60):
        yield x[b], y[b]


def loss(output, target):
    return nn.functional.cross_entropy(output, target, label_smoothing=0.1)


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=Cfg.lr)


def metric(model):
    model.eval()
    with torch.no_grad():
        return (model(x[valid]).argmax(1) == y[valid]).float().mean().item()


HIGHER_IS_BETTER = True
