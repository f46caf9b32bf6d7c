#!/usr/bin/env python
# -*- coding: utf-8 -*-
"""
pricing / flats / tabular model v3

Features come out of the warehouse already standardised (see etl/flats.sql); the
target is the standardised log-price per square metre.
"""
from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.datasets import make_friedman1
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

log = logging.getLogger("pricing")


@dataclass(frozen=True)
class Config:
    n_features: int = 10
    width: int = 64
    n_blocks: int = 20
    batch_size: int = 128
    lr: float = 0.02
    momentum: float = 0.9


CFG = Config()


def load_table(rows: int = 3000, seed: int = 11) -> tuple[Tensor, Tensor]:
    x, y = make_friedman1(n_samples=rows, n_features=CFG.n_features, noise=0.5, random_state=seed)
    x = StandardScaler().fit_transform(x)
    y = (y - y.mean()) / y.std()
    return torch.from_numpy(x.astype(np.float32)), torch.from_numpy(y.astype(np.float32)).unsqueeze(1)


_x, _y = load_table()
TRAIN = (_x[:2400], _y[:2400])
HOLDOUT = (_x[2400:], _y[2400:])


class TwoPathBlock(nn.Module):
    """A transformed path and an untouched one, blended."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.up = nn.Linear(width, 2 * width)
        self.act = nn.ReLU()
        self.down = nn.Linear(2 * width, width)

    def blend(self, x: Tensor, h: Tensor) -> Tensor:
        return torch.stack((x, h)).mean(dim=0)

    def forward(self, x: Tensor) -> Tensor:
        return self.blend(x, self.down(self.act(self.up(x))))


class TabRes(nn.Module):
    def __init__(self, cfg: Config = CFG) -> None:
        super().__init__()
        self.stem = nn.Linear(cfg.n_features, cfg.width)
        self.trunk = nn.Sequential(*(TwoPathBlock(cfg.width) for _ in range(cfg.n_blocks)))
        self.head = nn.Sequential(nn.ReLU(), nn.Linear(cfg.width, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.trunk(self.stem(x)))


def model() -> nn.Module:
    return TabRes()


def data():
    x, y = TRAIN
    for rows in torch.randperm(len(x)).split(CFG.batch_size):
        yield x[rows], y[rows]


loss = nn.MSELoss()


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=CFG.lr, momentum=CFG.momentum)
