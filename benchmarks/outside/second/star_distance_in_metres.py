import torch
from torch import nn

PARSEC = 3.0857e16


class DistanceNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(5, 64)
        self.hidden2 = nn.Linear(64, 64)
        self.last = nn.Linear(64, 1)

    def forward(self, x):
        x = nn.functional.elu(self.hidden(x))
        x = nn.functional.elu(self.hidden2(x))
        return self.last(x)


def batch(n=100):
    colours = torch.randn(n, 5)
    parsecs = 3 + colours[:, :1] * 0.8 + 0.5 * torch.sin(2 * colours[:, 1:2])
    metres = parsecs * PARSEC
    return colours, metres


def loss(d, true):
    return nn.functional.l1_loss(d, true)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
