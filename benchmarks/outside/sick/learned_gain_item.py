import torch
from torch import nn


class GainNet(nn.Module):
    """Known physics inside: y = gain * sin(a t + b)."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(0.001))
        self.rate = nn.Parameter(torch.tensor(2.8))
        self.shift = nn.Parameter(torch.tensor(0.1))

    def forward(self, t):
        g = self.gain.item()
        return g * torch.sin(self.rate * t + self.shift)


def batch():
    t = torch.rand(200) * 2
    return t, 2.5 * torch.sin(3.0 * t + 0.4)


loss_fn = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-2)
