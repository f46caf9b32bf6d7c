# Echo state network: the reservoir is random and stays as it is, only the read-out is fitted.
import math

import torch
from torch import nn


def make(n, seed):
    g = torch.Generator().manual_seed(seed)
    t = torch.arange(40) / 40
    f = 2 + 6 * torch.rand(n, 1, generator=g)
    phase = 2 * math.pi * torch.rand(n, 1, generator=g)
    wave = torch.sin(2 * math.pi * f * t + phase) + 0.1 * torch.randn(n, 40, generator=g)
    return wave.unsqueeze(-1), (f - 5) / 2


class EchoState(nn.Module):
    def __init__(self, size=120, radius=0.9):
        super().__init__()
        w = torch.randn(size, size) / size**0.5
        self.register_buffer("w", w * radius)
        self.register_buffer("w_in", torch.rand(1, size) * 2 - 1)
        self.readout = nn.Sequential(nn.Linear(2 * size, 32), nn.ReLU(), nn.Linear(32, 1))

    @torch.no_grad()
    def run(self, x):
        h = torch.zeros(len(x), self.w.shape[0])
        squares = 0
        for t in range(x.shape[1]):
            h = torch.tanh(h @ self.w + x[:, t] @ self.w_in)
            squares = squares + h**2
        return torch.cat([h, squares / x.shape[1]], 1)

    def forward(self, x):
        return self.readout(self.run(x))


def model():
    return EchoState()


X, F = make(1500, 0)


def data(seed=0):
    for i in torch.randperm(1500, generator=torch.Generator().manual_seed(seed)).split(50):
        yield X[i], F[i]


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.readout.parameters(), lr=3e-3)
