"""Echo state network (Jaeger 2001) for a solar inverter: forecast the DC power 4 samples ahead.

The reservoir is random and stays so, only the read-out is trained. Done with SGD-style training
instead of ridge regression because the read-out must be updated on the device.
"""
import torch
from torch import nn

UNITS, WASHOUT, T, AHEAD = 150, 30, 90, 4


def inverter(n, seed):
    g = torch.Generator().manual_seed(seed)
    t = torch.arange(T + AHEAD).float()
    f = 0.15 + 0.1 * torch.rand(n, 1, generator=g)
    p = 6.28 * torch.rand(n, 2, generator=g)
    s = torch.sin(f * t + p[:, :1]) + 0.5 * torch.sin(2.3 * f * t + p[:, 1:])
    obs = s + 0.05 * torch.randn(s.shape, generator=g)
    return obs[:, :T, None], s[:, WASHOUT + AHEAD :, None]


class EchoState(nn.Module):
    def __init__(self, leak=0.6, radius=0.9):
        super().__init__()
        w = torch.randn(UNITS, UNITS) * (torch.rand(UNITS, UNITS) < 0.1)
        w *= radius / torch.linalg.eigvals(w).abs().max()
        self.w = nn.Parameter(w, requires_grad=False)
        self.w_in = nn.Parameter(0.5 * (2 * torch.rand(UNITS, 1) - 1), requires_grad=False)
        self.bias = nn.Parameter(0.2 * torch.randn(UNITS), requires_grad=False)
        self.leak = leak
        self.readout = nn.Linear(UNITS, 1)

    @torch.no_grad()
    def reservoir(self, x):
        h = x.new_zeros(len(x), UNITS)
        states = []
        for t in range(x.shape[1]):
            h = (1 - self.leak) * h + self.leak * torch.tanh(x[:, t] @ self.w_in.T + h @ self.w.T + self.bias)
            if t >= WASHOUT:
                states.append(h)
        return torch.stack(states, 1)

    def forward(self, x):
        return self.readout(self.reservoir(x))


X, Y = inverter(400, 1)


def model():
    return EchoState()


def data():
    for i in torch.randperm(len(X)).split(40):
        yield X[i], Y[i]


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=5e-3)
