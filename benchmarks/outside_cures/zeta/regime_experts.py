"""Sparse mixture of linear experts for plant data with unknown operating regimes.

Each sample is routed to one expert only (top-1), which keeps inference cheap and the
experts readable for the engineers.
"""
import torch
from torch import nn

D, REGIMES = 8, 4


def plant(n, seed):
    fixed = torch.Generator().manual_seed(99)
    centres = torch.randn(REGIMES, D, generator=fixed) * 1.6
    slopes = torch.randn(REGIMES, D, generator=fixed)
    offset = torch.randn(REGIMES, generator=fixed)
    g = torch.Generator().manual_seed(seed)
    which = torch.randint(0, REGIMES, (n,), generator=g)
    x = centres[which] + torch.randn(n, D, generator=g)
    y = ((x - centres[which]) * slopes[which]).sum(1) + offset[which] + 0.1 * torch.randn(n, generator=g)
    return x, y[:, None]


class Top1Mixture(nn.Module):
    def __init__(self, dim=D, experts=6):
        super().__init__()
        self.gate = nn.Linear(dim, experts)
        self.experts = nn.Linear(dim, experts)  # one linear expert per output

    def route(self, scores, answers):
        pick = scores.argmax(dim=1, keepdim=True)
        return answers.gather(1, pick)

    def forward(self, x):
        return self.route(self.gate(x), self.experts(x))


x_train, y_train = plant(2048, seed=0)
x_test, y_test = plant(512, seed=1)


def model():
    return Top1Mixture()


def data():
    for idx in torch.randperm(2048).split(64):
        yield x_train[idx], y_train[idx]


loss = nn.MSELoss()


def optimizer(net):
    return torch.optim.Adam(net.parameters(), lr=1e-2)
