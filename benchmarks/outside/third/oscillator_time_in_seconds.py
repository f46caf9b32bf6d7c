# Fitting a damped oscillation, network returns a flat line
import torch
from torch import nn


class Curve(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(1, 48)
        self.b = nn.Linear(48, 48)
        self.c = nn.Linear(48, 48)
        self.d = nn.Linear(48, 1)

    def forward(self, t):
        h = torch.tanh(self.a(t))
        h = torch.tanh(self.b(h))
        h = torch.tanh(self.c(h))
        return self.d(h)


loss_fn = nn.MSELoss()


def batch():
    t = torch.rand(256, 1) * 600  # ten minutes
    s = t / 600
    return t, torch.exp(-s) * torch.cos(12 * s)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)


if __name__ == "__main__":
    m = Curve()
    opt = optimizer(m)
    for i in range(800):
        t, u = batch()
        l = loss_fn(m(t), u)
        opt.zero_grad()
        l.backward()
        opt.step()
        if i % 100 == 0:
            print(i, l.item())
