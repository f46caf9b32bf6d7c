"""Imitate a docking controller; the net runs in half precision, as on the board."""

import torch
from torch import nn


def logs(n, seed):
    g = torch.Generator().manual_seed(seed)
    s = torch.randn(n, 4, generator=g)
    thrust = torch.tanh(0.9 * s[:, 0] - 1.3 * s[:, 1] * s[:, 2]) + 0.4 * s[:, 3]
    return s, thrust.unsqueeze(1)


class Controller(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(4, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1)
        )
        self.half()

    def forward(self, state):
        return self.net(state.half()).float()


def model():
    return Controller()


S, U = logs(2000, 0)


def data(seed=0):
    for i in torch.randperm(2000, generator=torch.Generator().manual_seed(seed)).split(64):
        yield S[i], U[i]


loss = nn.functional.mse_loss


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)


def metric(model):
    s, u = logs(500, 1)
    with torch.no_grad():
        return (1 - (model(s) - u).pow(2).mean() / u.var()).item()


GOAL = 0.8
HIGHER_IS_BETTER = True
