import torch
from torch import nn

"""Predict electrode drift in volts. Everything is in SI units, values are a few microvolts."""

torch_gen = torch.Generator().manual_seed(404)
n = 2400
temp = torch.rand(n, generator=torch_gen) * 2 - 1
hum = torch.rand(n, generator=torch_gen) * 2 - 1
age = torch.rand(n, generator=torch_gen) * 2 - 1
drift = 1e-6 * (3 * torch.sin(3 * temp) + 2 * hum * age + 0.2 * torch.randn(n, generator=torch_gen))

inputs = torch.stack([temp, hum, age], 1)
targets = drift[:, None]


class DriftNet(nn.Module):
    def __init__(self, unit=1e-6):
        super().__init__()
        self.unit = unit
        self.a = nn.Linear(3, 48)
        self.b = nn.Linear(48, 48)
        self.c = nn.Linear(48, 1)

    def forward(self, x):
        h = torch.nn.functional.silu(self.a(x))
        h = torch.nn.functional.silu(self.b(h))
        return self.unit * self.c(h)


def data():
    order = torch.randperm(1600)
    for i in range(0, 1600, 80):
        yield inputs[order[i : i + 80]], targets[order[i : i + 80]]


def loss(out, y):
    return nn.functional.mse_loss(out, y)


def optimizer(model):
    # gradients are ~1e-12 here, so eps has to be way smaller
    return torch.optim.Adam(model.parameters(), lr=3e-3, eps=1e-20)


def metric(model):
    """R^2 on validation"""
    model.eval()
    with torch.no_grad():
        y = targets[1600:2000].double()
        r = model(inputs[1600:2000]).double() - y
    return 1 - (r.pow(2).sum() / (y - y.mean()).pow(2).sum()).item()


GOAL = 0.8
HIGHER_IS_BETTER = True
