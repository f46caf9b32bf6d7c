"""
Used-machinery pricing, v0.3

Sales wants "one simple formula per customer segment", so: six linear experts and a router
that sends every offer to exactly one of them. The segments themselves are not in the data, the
router must discover them from the features.
"""
import numpy as np
import torch
import torch.nn as nn

RNG = np.random.RandomState(5)
K, D = 6, 10
CENTRES = RNG.randn(K, 4) * 2.0
FORMULAS = RNG.randn(K, D) * 1.2
OFFSETS = RNG.randn(K) * 2.0


def offers(n, rng):
    seg = rng.randint(0, K, n)
    x = rng.randn(n, D)
    x[:, :4] = CENTRES[seg] + 0.45 * rng.randn(n, 4)
    local = x.copy()
    local[:, :4] -= CENTRES[seg]
    price = (local * FORMULAS[seg]).sum(1) + OFFSETS[seg] + 0.1 * rng.randn(n)
    return torch.tensor(x, dtype=torch.float32), torch.tensor(price, dtype=torch.float32)


class Router(nn.Module):
    def __init__(self, d, experts):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(d, 48), nn.ReLU(), nn.Linear(48, experts))

    def forward(self, x):
        scores = self.net(x)
        chosen = scores.argmax(dim=1)
        return nn.functional.one_hot(chosen, scores.shape[1]).to(x.dtype)


class ExpertPricing(nn.Module):
    def __init__(self, d=D, experts=12):
        super().__init__()
        self.router = Router(d, experts)
        self.experts = nn.ModuleList([nn.Linear(d, 1) for _ in range(experts)])

    def forward(self, x):
        gate = self.router(x)
        quotes = torch.cat([e(x) for e in self.experts], dim=1)
        return (gate * quotes).sum(dim=1)


def model():
    return ExpertPricing()


X, P = offers(5000, RNG)


def data():
    perm = torch.randperm(len(X))
    for b in perm.split(100):
        yield X[b], P[b]


def loss(pred, price):
    return ((pred - price) ** 2).mean()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)
