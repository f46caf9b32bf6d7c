"""Critic for the tank-heating problem: state -> Monte Carlo return of the PI controller."""
import torch
import torch.nn as nn
import torch.nn.functional as F


def simulate(n, seed, horizon=60):
    """Costs are in euro cents per run; returns are minus their sum."""
    g = torch.Generator().manual_seed(seed)
    temp = 20 + 40 * torch.rand(n, generator=g)
    setpoint = 30 + 20 * torch.rand(n, generator=g)
    outside = 10 * torch.randn(n, generator=g)
    state = torch.stack([(temp - 40) / 12, (setpoint - 40) / 6, outside / 10], 1)
    ret = torch.zeros(n)
    integral = torch.zeros(n)
    for _ in range(horizon):
        err = setpoint - temp
        integral = integral + 0.1 * err
        power = (2.0 * err + integral).clamp(-40, 60)
        temp = temp + 0.05 * power - 0.03 * (temp - outside)
        ret -= err.abs() * 15 + power.clamp(min=0)
    return state, ret[:, None]


STATE, RETURN = simulate(3000, 0)
VAL_STATE, VAL_RETURN = simulate(600, 1)


class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1 = nn.Linear(3, 64)
        self.l2 = nn.Linear(64, 64)
        self.v = nn.Linear(64, 1)

    def forward(self, s):
        return self.v(torch.tanh(self.l2(torch.tanh(self.l1(s)))))


model = Critic


def data():
    perm = torch.randperm(len(STATE))
    for idx in perm.split(100):
        yield STATE[idx], RETURN[idx]


loss = F.mse_loss


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)


def metric(model):
    """explained variance, as in the baselines"""
    with torch.no_grad():
        p = model(VAL_STATE)
    return (1 - ((p - VAL_RETURN) ** 2).mean() / VAL_RETURN.var()).item()


GOAL = 0.9
HIGHER_IS_BETTER = True
