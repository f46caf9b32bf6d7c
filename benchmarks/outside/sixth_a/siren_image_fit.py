import numpy as np
import torch
from torch import nn


class Sine(nn.Module):
    def __init__(self, fin, fout, first=False, w0=30.0):
        super().__init__()
        self.w0 = w0
        self.linear = nn.Linear(fin, fout)
        bound = 1 / fin if first else np.sqrt(6 / fin) / w0
        nn.init.uniform_(self.linear.weight, -bound, bound)

    def forward(self, x):
        return torch.sin(self.w0 * self.linear(x))


def siren(hidden=64, layers=3):
    net = [Sine(2, hidden, first=True)] + [Sine(hidden, hidden) for _ in range(layers)]
    last = nn.Linear(hidden, 1)
    nn.init.uniform_(last.weight, -np.sqrt(6 / hidden) / 30, np.sqrt(6 / hidden) / 30)
    return nn.Sequential(*net, last)


ax = torch.linspace(-1, 1, 32)
coords = torch.cartesian_prod(ax, ax)
r = coords.norm(dim=1)
pixels = (torch.cos(18 * r) * torch.exp(-2 * r) + 0.5 * torch.sign(torch.sin(7 * coords[:, 0])))[:, None]

data = [(coords, pixels)]
loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-4 * 5)
