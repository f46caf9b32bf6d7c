# Implicit picture: coordinates in, grey value out. Sine layers with omega 30.
import torch
from torch import nn


class Sine(nn.Module):
    def __init__(self, i, o, first=False, omega=30.0):
        super().__init__()
        self.linear, self.omega = nn.Linear(i, o), omega
        bound = 1 / i if first else (6 / i) ** 0.5 / omega
        nn.init.uniform_(self.linear.weight, -bound, bound)

    def forward(self, x):
        return torch.sin(self.omega * self.linear(x))


def siren(width=48):
    return nn.Sequential(Sine(2, width, first=True), Sine(width, width), Sine(width, width), nn.Linear(width, 1))


def picture(xy):
    x, y = xy[:, :1], xy[:, 1:]
    return torch.sin(9 * x + 2 * y) * torch.cos(6 * y) + 0.5 * torch.exp(-8 * (x**2 + y**2))


def model():
    return siren()


xy = torch.rand(4000, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
grey = picture(xy)


def data(seed=0):
    for i in torch.randperm(4000, generator=torch.Generator().manual_seed(seed)).split(200):
        yield xy[i], grey[i]


loss = nn.functional.mse_loss


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-4)
