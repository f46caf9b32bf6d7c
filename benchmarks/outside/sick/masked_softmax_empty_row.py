import torch
from torch import nn


class SetPool(nn.Module):
    def __init__(self, d=6, h=32):
        super().__init__()
        self.phi = nn.Sequential(nn.Linear(d, h), nn.ReLU())
        self.score = nn.Linear(h, 1)
        self.rho = nn.Linear(h, 1)

    def forward(self, members, valid):
        h = self.phi(members)
        s = self.score(h).squeeze(-1).masked_fill(~valid, float("-inf"))
        w = torch.softmax(s, dim=1)
        return self.rho((w.unsqueeze(-1) * h).sum(dim=1)).squeeze(-1)


def batch(n=128, m=5):
    members = torch.randn(n, m, 6)
    valid = torch.rand(n, m) < 0.5
    best = members[..., 0].masked_fill(~valid, -9).amax(1)
    return (members, valid), torch.where(valid.any(1), best, torch.zeros(n))


criterion = nn.HuberLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
