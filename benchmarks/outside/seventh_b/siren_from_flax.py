import math
import torch
from torch import nn


class SineLayer(nn.Module):
    def __init__(self, in_f, out_f, is_first=False, omega_0=30.0):
        super().__init__()
        self.linear = nn.Linear(in_f, out_f)
        with torch.no_grad():
            bound = 1 / in_f if is_first else math.sqrt(6 / in_f) / omega_0
            self.linear.weight.uniform_(-bound, bound)

    def forward(self, x):
        return torch.sin(self.linear(x))


class Siren(nn.Module):
    def __init__(self, hidden=64, n_hidden=4):
        super().__init__()
        self.net = nn.Sequential(
            SineLayer(2, hidden, is_first=True), *[SineLayer(hidden, hidden) for _ in range(n_hidden)], nn.Linear(hidden, 1)
        )

    def forward(self, coords):
        return self.net(coords)


lin = torch.linspace(-1, 1, 24)
coords = torch.stack(torch.meshgrid(lin, lin, indexing="ij"), -1).reshape(-1, 2)
image = (torch.sin(9 * coords[:, :1]) * torch.cos(7 * coords[:, 1:] + coords[:, :1] ** 2) + 0.3 * torch.sin(15 * coords.sum(1, True)))


def batch():
    return coords, image


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-4)
