"""Mixture of linear experts for regime-switching data.

Internal note: each regime is well described by a linear model (compliance wants coefficients that
can be printed), but which regime applies depends on two market indicators in a non-linear way.
Router = small MLP, experts = plain linear regressions. Sparse routing: one expert per sample, so
that every prediction can be explained with one set of coefficients.
"""
import math

import torch
from torch import nn
from torch.nn import functional as F

N_REGIMES = 4
N_FEATURES = 8


def _coefficients():
    g = torch.Generator().manual_seed(8)
    return torch.randn(N_REGIMES, N_FEATURES, generator=g), torch.randn(N_REGIMES, generator=g)


def draw(n, seed):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, N_FEATURES + 2, generator=g)
    angle = torch.atan2(x[:, -1], x[:, -2])
    regime = ((angle + math.pi) / (2 * math.pi) * N_REGIMES).long().clamp(0, N_REGIMES - 1)
    w, b = _coefficients()
    y = (w[regime] * x[:, :N_FEATURES]).sum(1) + b[regime] + 0.1 * torch.randn(n, generator=g)
    return x, y.unsqueeze(1)


class MixtureOfLinear(nn.Module):
    def __init__(self, n_experts: int = 8, router_width: int = 64):
        super().__init__()
        self.router = nn.Sequential(
            nn.Linear(2, router_width), nn.ReLU(), nn.Linear(router_width, n_experts)
        )
        self.experts = nn.Linear(N_FEATURES, n_experts)

    def route(self, x):
        return F.softmax(self.router(x[:, N_FEATURES:]), dim=-1)

    def forward(self, x):
        gate = self.route(x)
        chosen = gate.argmax(dim=-1, keepdim=True)
        per_expert = self.experts(x[:, :N_FEATURES])
        return per_expert.gather(1, chosen)


_x, _y = draw(4096, seed=0)
data = [(a, b) for a, b in zip(_x.split(64), _y.split(64))]


def model():
    return MixtureOfLinear()


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)
