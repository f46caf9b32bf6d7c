"""SIREN: fit one picture with sines, w0 = 30 (Sitzmann et al. 2020)."""

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn


class SineLayer(nn.Module):
    def __init__(self, in_f, out_f, is_first=False, omega_0=30):
        super().__init__()
        self.omega_0 = omega_0
        self.linear = nn.Linear(in_f, out_f)
        with torch.no_grad():
            if is_first:
                self.linear.weight.uniform_(-1 / in_f, 1 / in_f)
            else:
                b = np.sqrt(6 / in_f) / omega_0
                self.linear.weight.uniform_(-b, b)

    def forward(self, x):
        return torch.sin(self.omega_0 * self.linear(x))


class Siren(nn.Module):
    def __init__(self, hidden=64, layers=3):
        super().__init__()
        net = [SineLayer(2, hidden, is_first=True)]
        net += [SineLayer(hidden, hidden) for _ in range(layers)]
        final = nn.Linear(hidden, 1)
        with torch.no_grad():
            b = np.sqrt(6 / hidden) / 30
            final.weight.uniform_(-b, b)
        self.net = nn.Sequential(*net, final)

    def forward(self, coords):
        return self.net(coords)


def get_mgrid(n):
    t = torch.linspace(-1, 1, n)
    return torch.stack(torch.meshgrid(t, t, indexing="ij"), -1).reshape(-1, 2)


def model():
    return Siren()


def batch():
    img = torch.tensor(np.kron(load_digits().images[3], np.ones((4, 4)))).float() / 8 - 1
    return get_mgrid(32), img.reshape(-1, 1)


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-4)
