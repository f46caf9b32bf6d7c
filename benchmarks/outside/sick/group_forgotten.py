import torch
from torch import nn


class MIL(nn.Module):
    """Attention pooling over a bag; the label depends on one marked instance."""

    def __init__(self, d=10, h=4):
        super().__init__()
        self.encoder = nn.Linear(d, h)
        self.norm = nn.LayerNorm(d)
        self.attention = nn.Sequential(nn.Linear(d, 32), nn.Tanh(), nn.Linear(32, 1))
        self.head = nn.Linear(h, 2)

    def forward(self, bag):
        a = torch.softmax(self.attention(self.norm(bag)), dim=1)
        return self.head((a * self.encoder(bag)).sum(dim=1))


def batch(n=128, size=12):
    bag = torch.randn(n, size, 10)
    bag[..., 0] = 0
    k = torch.randint(0, size, (n,))
    rows = torch.arange(n)
    bag[rows, k, 0] = 4
    return bag, (bag[rows, k, 1] > 0).long()


criterion = nn.CrossEntropyLoss()


def optimizer(model):
    groups = [
        {"params": model.encoder.parameters(), "lr": 1e-2},
        {"params": model.head.parameters(), "lr": 1e-2},
    ]
    return torch.optim.Adam(groups, lr=1e-2)
