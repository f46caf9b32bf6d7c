# RNA-like raw counts go straight in, the first thing is a BatchNorm
import torch
from torch import nn

gen = torch.Generator().manual_seed(0)
RATES = torch.exp(torch.randn(5, 200, generator=gen) * 1.0 + 3.0)


class CellTyper(nn.Module):
    def __init__(self, genes=200, types=5):
        super().__init__()
        self.bn0 = nn.BatchNorm1d(genes)
        self.lin1 = nn.Linear(genes, 64)
        self.bn1 = nn.BatchNorm1d(64)
        self.lin2 = nn.Linear(64, types)

    def forward(self, counts):
        h = self.bn0(counts)
        h = torch.relu(self.bn1(self.lin1(h)))
        return self.lin2(h)


def batch():
    y = torch.randint(5, (96,))
    depth = torch.rand(96, 1) + 0.5
    return torch.poisson(RATES[y] * depth), y


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
