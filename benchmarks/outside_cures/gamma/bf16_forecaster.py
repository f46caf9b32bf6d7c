import math

import torch
import torch.nn as nn

# Day-ahead load forecaster. Whole pipeline in bfloat16 so that it fits the edge box.
DTYPE = torch.bfloat16
WINDOW = 48


def load_curve(n_hours):
    g = torch.Generator().manual_seed(2024)
    t = torch.arange(n_hours).float()
    daily = torch.sin(2 * math.pi * t / 24) + 0.4 * torch.sin(4 * math.pi * t / 24 + 1)
    weekly = 0.5 * torch.cos(2 * math.pi * t / 168)
    noise = torch.zeros(n_hours)
    e = 0.1 * torch.randn(n_hours, generator=g)
    for i in range(1, n_hours):
        noise[i] = 0.9 * noise[i - 1] + e[i]
    return daily + weekly * (1 + 0.3 * daily) + noise


def windows(series, horizon=6):
    x = series.unfold(0, WINDOW, 1)[: -horizon]
    y = series[WINDOW + horizon - 1 :][: len(x)]
    return x.to(DTYPE), y[:, None].to(DTYPE)


series = load_curve(3000)
x_all, y_all = windows(series)
x_train, y_train = x_all[:2000], y_all[:2000]
x_val, y_val = x_all[2060:2400], y_all[2060:2400]


class Forecaster(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(WINDOW, 64),
            nn.GELU(),
            nn.Linear(64, 64),
            nn.GELU(),
            nn.Linear(64, 1),
        )
        self.to(DTYPE)

    def forward(self, x):
        return self.net(x)


def data():
    order = torch.randperm(len(x_train))
    for b in order.split(50):
        yield x_train[b], y_train[b]


def loss(output, target):
    return nn.functional.mse_loss(output, target)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-5)


def metric(model):
    model.eval()
    with torch.no_grad():
        return nn.functional.l1_loss(model(x_val).float(), y_val.float()).item()


HIGHER_IS_BETTER = False
