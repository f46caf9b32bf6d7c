"""Echo state network on Mackey-Glass, torch version of my old Matlab script (Jaeger & Haas 2004).

The reservoir is random and never trained. Only the linear readout learns.
"""
import numpy as np
import torch
from torch import nn


def mackey_glass(n, tau=17, seed=0):
    rng = np.random.default_rng(seed)
    h = list(1.2 + 0.2 * rng.standard_normal(tau + 1))
    for _ in range(n + 500):
        h.append(h[-1] + 0.2 * h[-1 - tau] / (1 + h[-1 - tau] ** 10) - 0.1 * h[-1])
    return np.tanh(np.array(h[-n:]) - 1.0).astype(np.float32)


LEN, AHEAD = 60, 10


def cut(series):
    s = torch.from_numpy(series)
    w = s.unfold(0, LEN + AHEAD, 3)
    return w[:, :LEN].unsqueeze(-1).contiguous(), w[:, -1:].contiguous()


X, Y = cut(mackey_glass(6000, seed=0))


class Reservoir(nn.Module):
    def __init__(self, n=200, radius=0.9, density=0.05, leak=0.5):
        super().__init__()
        w = torch.randn(n, n) * (torch.rand(n, n) < density)
        w = w * (radius / torch.linalg.eigvals(w).abs().max())
        self.register_buffer("w", w)
        self.register_buffer("w_in", torch.rand(n, 1) * 2 - 1)
        self.leak = leak

    @torch.no_grad()
    def forward(self, u):
        h = u.new_zeros(len(u), self.w.shape[0])
        for t in range(u.shape[1]):
            h = (1 - self.leak) * h + self.leak * torch.tanh(u[:, t] @ self.w_in.T + h @ self.w.T)
        return h


class ESN(nn.Module):
    def __init__(self):
        super().__init__()
        self.reservoir = Reservoir()
        self.readout = nn.Linear(200, 1)

    def forward(self, u):
        return self.readout(self.reservoir(u))


def model():
    return ESN()


def data():
    for i in torch.randperm(len(X)).split(100):
        yield X[i], Y[i]


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.readout.parameters(), lr=5e-3)
