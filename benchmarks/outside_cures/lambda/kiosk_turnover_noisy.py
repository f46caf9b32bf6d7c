"""Hourly turnover deviation of a chain of kiosks from the plan, from weather and calendar.

Single kiosks are very noisy (one school class more or less...), planning only needs the expectation.
"""
import numpy as np
import torch
import torch.nn as nn


def expectation(x):
    temp, rain, hour, weekend, event = x[:, 0], x[:, 1], x[:, 2], x[:, 3], x[:, 4]
    return (
        0.6 * np.tanh(temp) - 0.5 * rain * (weekend > 0) + 0.4 * np.sin(3 * hour)
        + 0.5 * event * (temp > 0) - 0.1
    )


def hours(n, seed):
    r = np.random.default_rng(seed)
    x = r.normal(size=(n, 9))
    x[:, 1] = np.abs(x[:, 1])
    x[:, 2] = r.uniform(-1.5, 1.5, n)
    x[:, 3] = np.sign(x[:, 3])
    mean = expectation(x)
    y = mean + 1.5 * r.normal(size=n)
    return torch.tensor(x).float(), torch.tensor(y).float(), torch.tensor(mean).float()


class Swish(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(x)


class TurnoverNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(9, 48), nn.LayerNorm(48), Swish(),
            nn.Dropout(0.1),
            nn.Linear(48, 48), nn.LayerNorm(48), Swish(),
            nn.Linear(48, 1),
        )

    def forward(self, x):
        return self.net(x)[:, 0]


def model():
    return TurnoverNet()


X, Y, _ = hours(40_000, seed=10)


def data():
    for b in torch.randperm(len(X)).split(400):
        yield X[b], Y[b]


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-3)
