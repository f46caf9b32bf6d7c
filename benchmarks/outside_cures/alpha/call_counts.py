"""Calls per hour in a support centre: Poisson regression with a small net."""
import torch
from torch import nn


def hours(n, seed):
    g = torch.Generator().manual_seed(seed)
    hour = torch.randint(0, 24, (n,), generator=g).float()
    weekday = torch.randint(0, 7, (n,), generator=g).float()
    customers = 2000 + 6000 * torch.rand(n, generator=g)
    outage_minutes = (torch.rand(n, generator=g) < 0.15).float() * 90 * torch.rand(n, generator=g)
    rate = (
        customers / 900
        * (0.4 + torch.exp(-((hour - 13) / 5) ** 2))
        * torch.where(weekday > 4, 0.45, 1.0)
        * (1 + outage_minutes / 30)
    )
    x = torch.stack([hour, weekday, customers, outage_minutes], 1)
    return x, torch.poisson(rate, generator=g).unsqueeze(1)


X, CALLS = hours(3000, seed=1)


class Rate(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden1 = nn.Linear(4, 48)
        self.hidden2 = nn.Linear(48, 48)
        self.out = nn.Linear(48, 1)

    def forward(self, x):
        h = torch.relu(self.hidden1(x))
        h = torch.relu(self.hidden2(h))
        return torch.exp(self.out(h))


def model():
    return Rate()


def data(seed=0):
    g = torch.Generator().manual_seed(seed)
    for i in torch.randperm(len(X), generator=g).split(100):
        yield X[i], CALLS[i]


def loss(rate, calls):
    return (rate - calls * torch.log(rate)).mean()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
