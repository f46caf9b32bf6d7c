"""Next-week demand anomaly per store (z-scored), from 12 weekly features.

My manager thinks the network is broken because the predictions hug the mean: they have a standard
deviation of 0.4 where the target's is 1, and the training loss only goes from 1.0 to about 0.8.
"""
import torch
import torch.nn as nn

N_FEATURES = 12


def simulate(n, seed):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, N_FEATURES, generator=g)
    signal = 0.6 * torch.sin(1.5 * x[:, 0]) + 0.5 * x[:, 1] * x[:, 2] + 0.3 * x[:, 3].clamp(min=0)
    y = signal + 1.35 * torch.randn(n, generator=g)
    return x, ((y - 0.12) / 1.53).unsqueeze(1)


x_fit, y_fit = simulate(12000, 1)
x_hold, y_hold = simulate(6000, 2)


class DemandNet(nn.Module):
    def __init__(self, hidden: int = 48):
        super().__init__()
        self.a = nn.Linear(N_FEATURES, hidden)
        self.b = nn.Linear(hidden, hidden)
        self.c = nn.Linear(hidden, 1)
        self.act = nn.SiLU()

    def forward(self, x):
        h = self.act(self.a(x))
        h = h + self.act(self.b(h))
        return self.c(h)


def model():
    return DemandNet()


def data():
    for i in torch.randperm(len(x_fit)).split(128):
        yield x_fit[i], y_fit[i]


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
