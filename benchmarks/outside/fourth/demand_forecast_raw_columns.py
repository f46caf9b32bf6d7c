"""Demand forecast from shop columns: turnover in EUR, stock in pieces, shelf in mm, temperature."""
import numpy as np
import torch
from torch import nn

rng = np.random.default_rng(3)
N = 3000
turnover = rng.normal(80_000, 20_000, N)
stock = rng.normal(5_000, 1_500, N)
shelf = rng.normal(1_200, 300, N)
temp = rng.normal(15, 8, N)
demand = (
    (turnover - 80_000) / 20_000 + 0.5 * np.sin((stock - 5_000) / 1_500 * 2) + 0.7 * (temp - 15) / 8
)
X = torch.tensor(np.stack([turnover, stock, shelf, temp], 1), dtype=torch.float32)
Y = torch.tensor(demand[:, None], dtype=torch.float32)


def make_model():
    return nn.Sequential(
        nn.Linear(4, 64), nn.Tanh(),
        nn.Linear(64, 64), nn.Tanh(),
        nn.Linear(64, 1),
    )


def batch():
    rows = torch.randint(N, (128,))
    return X[rows], Y[rows]


loss_fn = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
