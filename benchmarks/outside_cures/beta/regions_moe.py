# Piecewise linear regression: each region of the plane has its own plane. One linear expert each.
import torch
from torch import nn
from torch.nn import functional as F

DIM = 6
g = torch.Generator().manual_seed(5)
CENTRES = 2.0 * torch.randn(4, DIM, generator=g)
SLOPES = 1.5 * torch.randn(4, DIM, generator=g)


def make(n, seed):
    g = torch.Generator().manual_seed(seed)
    which = torch.randint(4, (n,), generator=g)
    offset = 0.7 * torch.randn(n, DIM, generator=g)
    x = CENTRES[which] + offset
    y = (offset * SLOPES[which]).sum(1, keepdim=True) + 0.05 * torch.randn(n, 1, generator=g)
    return x, y


class MixtureOfExperts(nn.Module):
    def __init__(self, experts=8):
        super().__init__()
        self.gate = nn.Linear(DIM, experts)
        self.experts = nn.ModuleList([nn.Linear(DIM, 1) for _ in range(experts)])

    def forward(self, x):
        route = F.one_hot(self.gate(x).argmax(-1), len(self.experts)).float()
        answers = torch.cat([expert(x) for expert in self.experts], dim=-1)
        return (route * answers).sum(-1, keepdim=True)


def model():
    return MixtureOfExperts()


X, Y = make(2000, 1)


def data(seed=0):
    p = torch.randperm(len(X), generator=torch.Generator().manual_seed(seed))
    return [(X[i], Y[i]) for i in p.split(100)]


def loss(output, target):
    return ((output - target) ** 2).mean()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-2)
