import math

import torch
from torch import nn


class Sine(nn.Module):
    def __init__(self, n_in, n_out, omega=30.0, first=False):
        super().__init__()
        self.omega = omega
        self.linear = nn.Linear(n_in, n_out)
        if first:
            bound = 1 / n_in
        else:
            bound = math.sqrt(6 / n_in)
        nn.init.uniform_(self.linear.weight, -bound, bound)

    def forward(self, x):
        return torch.sin(self.omega * self.linear(x))


class Siren(nn.Module):
    def __init__(self, hidden=64, depth=5):
        super().__init__()
        mods = [Sine(2, hidden, first=True)]
        mods += [Sine(hidden, hidden) for _ in range(depth)]
        self.net = nn.Sequential(*mods)
        self.head = nn.Linear(hidden, 1)

    def forward(self, xy):
        return self.head(self.net(xy))


def picture(xy):
    x, y = xy.unbind(-1)
    return (torch.sin(4 * x) * torch.cos(3 * y) + 0.5 * torch.sin(9 * x * y))[:, None]


def batch():
    xy = torch.rand(512, 2) * 2 - 1
    return xy, picture(xy)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-4)


if __name__ == "__main__":
    model = Siren()
    opt = optimizer(model)
    for it in range(1000):
        coords, target = batch()
        mse = ((model(coords) - target) ** 2).mean()
        opt.zero_grad()
        mse.backward()
        opt.step()
        if it % 100 == 0:
            print(it, mse.item())
