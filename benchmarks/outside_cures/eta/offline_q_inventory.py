"""Fitted Q evaluation for the warehouse re-ordering problem (offline, logged data).

state  = [stock, open orders, demand forecast, price, holding cost, day sin, day cos, promo]
action = 0 nothing / 1 small order / 2 medium order / 3 truck
The log stores the realised Monte-Carlo return of each decision (EUR over 14 days), so there is no
bootstrapping and no target network: it is a plain regression on the chosen action.
"""
from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

N_ACTIONS = 4
ORDER = torch.tensor([0.0, 0.6, 1.2, 2.4])


def simulate(n: int, seed: int):
    g = torch.Generator().manual_seed(seed)
    stock = 2 * torch.rand(n, generator=g)
    open_orders = torch.rand(n, generator=g)
    demand = 0.3 + 2.5 * torch.rand(n, generator=g)
    price = 0.6 + 0.8 * torch.rand(n, generator=g)
    holding = 0.1 + 0.4 * torch.rand(n, generator=g)
    day = 2 * math.pi * torch.rand(n, generator=g)
    promo = (torch.rand(n, generator=g) < 0.25).float()
    s = torch.stack([stock, open_orders, demand, price, holding, day.sin(), day.cos(), promo], 1)
    a = torch.randint(0, N_ACTIONS, (n,), generator=g)
    d = demand * (1 + 0.4 * promo) * (1 + 0.15 * day.sin())
    have = stock + open_orders + ORDER[a]
    sold = torch.minimum(d, have)
    left = (have - d).clamp(min=0)
    missed = (d - have).clamp(min=0)
    ret = 1400 * price * sold - 900 * holding * left - 350 * missed - 120 * (a > 0)
    ret = ret + 60 * torch.randn(n, generator=g)
    return s, torch.stack([a.float(), ret], 1)


S, AR = simulate(4096, seed=11)


class QNet(nn.Module):
    def __init__(self, n_in: int = 8, width: int = 64, n_actions: int = N_ACTIONS) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(n_in, width), nn.ReLU(),
            nn.Linear(width, width), nn.ReLU(),
        )
        self.q = nn.Linear(width, n_actions)

    def forward(self, s: torch.Tensor) -> torch.Tensor:
        return self.q(self.body(s))


def model() -> nn.Module:
    return QNet()


def data():
    for i in torch.randperm(len(S)).split(64):
        yield S[i], AR[i]


def loss(q, target):
    a, ret = target[:, 0].long(), target[:, 1]
    chosen = q.gather(1, a[:, None]).squeeze(1)
    return F.smooth_l1_loss(chosen, ret)  # Huber as in the DQN paper


def optimizer(model):
    return torch.optim.RMSprop(model.parameters(), lr=2.5e-4, alpha=0.95, eps=0.01)
