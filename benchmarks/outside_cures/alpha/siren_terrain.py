"""Implicit terrain model: (x, y) -> height, sine layers."""
import math

import torch
from torch import nn


def height(p):
    x, y = p[:, 0], p[:, 1]
    h = torch.sin(5 * x + 1) * torch.cos(4 * y) + 0.5 * torch.sin(9 * x * y + 2)
    return (h + 0.4 * torch.exp(-8 * ((x - 0.3) ** 2 + (y + 0.2) ** 2))).unsqueeze(1)


def survey(n, seed):
    p = torch.rand(n, 2, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return p, height(p)


points, heights = survey(4000, 1)


class Sine(nn.Module):
    def __init__(self, n_in, n_out, w0=12.0, first=False):
        super().__init__()
        self.w0 = w0
        self.linear = nn.Linear(n_in, n_out)
        bound = 1 / n_in if first else math.sqrt(6 / n_in) / w0
        nn.init.uniform_(self.linear.weight, -bound, bound)

    def forward(self, x):
        return torch.sin(self.w0 * self.linear(x))


def model():
    return nn.Sequential(Sine(2, 64, first=True), Sine(64, 64), Sine(64, 64), nn.Linear(64, 1))


def data(seed=0):
    g = torch.Generator().manual_seed(seed)
    for i in torch.randperm(len(points), generator=g).split(100):
        yield points[i], heights[i]


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)


check_points, check_heights = survey(400, 2)


def metric(model):
    model.eval()
    with torch.no_grad():
        rest = ((model(check_points) - check_heights) ** 2).mean()
    model.train()
    return 1 - (rest / check_heights.var()).item()
