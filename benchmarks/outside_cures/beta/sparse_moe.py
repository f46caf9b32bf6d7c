"""Sparse mixture of experts, top 2 of 8, on the three-way switch problem."""

from dataclasses import dataclass

import torch
from torch import nn


@dataclass
class Cfg:
    d_in: int = 8
    experts: int = 8
    k: int = 2
    hidden: int = 24
    lr: float = 4e-3


def make(n, seed):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, Cfg.d_in, generator=g)
    switch = torch.bucketize(x[:, 0].contiguous(), torch.tensor([-0.5, 0.5]))
    return x, (x[torch.arange(n), 1 + switch] + 0.5 * x[torch.arange(n), 4 + switch] > 0).long()


class Sparse(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.k = cfg.k
        self.router = nn.Linear(cfg.d_in, cfg.experts, bias=False)
        nn.init.normal_(self.router.weight, std=1e-3)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(cfg.d_in, cfg.hidden), nn.GELU(), nn.Linear(cfg.hidden, 2))
            for _ in range(cfg.experts)
        )

    def forward(self, x):
        weight, chosen = self.router(x).softmax(-1).topk(self.k, dim=-1)
        y = torch.zeros(len(x), 2)
        for e, expert in enumerate(self.experts):
            rows, slot = (chosen == e).nonzero(as_tuple=True)
            if len(rows):
                y = y.index_add(0, rows, weight[rows, slot].unsqueeze(1) * expert(x[rows]))
        return y


def model():
    return Sparse(Cfg())


X, Y = make(3000, 0)


def data(seed=0):
    for i in torch.randperm(3000, generator=torch.Generator().manual_seed(seed)).split(100):
        yield X[i], Y[i]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=Cfg.lr)
