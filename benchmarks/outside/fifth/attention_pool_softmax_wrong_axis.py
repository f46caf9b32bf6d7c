# multiple instance learning: one item carries a flag, its value is the answer
import torch
from torch import nn


class BagNet(nn.Module):
    def __init__(self, d=6):
        super().__init__()
        self.score = nn.Sequential(nn.Linear(d, 32), nn.Tanh(), nn.Linear(32, 1))
        self.value = nn.Linear(d, 16)
        self.out = nn.Linear(16, 1)

    def forward(self, x):
        alpha = torch.softmax(self.score(x), dim=-1)
        pooled = (alpha * self.value(x)).sum(dim=1)
        return self.out(pooled)


def batch():
    x = torch.randn(64, 15, 6)
    x[:, :, 0] = 0
    k = torch.randint(0, 15, (64,))
    r = torch.arange(64)
    x[r, k, 0] = 1.0
    return x, x[r, k, 1:2] + 0.5 * x[r, k, 2:3]


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
