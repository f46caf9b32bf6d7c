import torch
from torch import nn


class FactorizationMachine(nn.Module):
    def __init__(self, n=16, k=6):
        super().__init__()
        self.w0 = nn.Parameter(torch.zeros(1))
        self.w = nn.Parameter(torch.zeros(n))
        self.V = nn.Parameter(torch.randn(n, k) * 0.1)

    def forward(self, x):
        s1 = (x @ self.V).pow(2)
        s2 = x.pow(2) @ self.V.pow(2)
        return self.w0 + x @ self.w + 0.5 * (s1 - s2).sum(1)


criterion = nn.BCEWithLogitsLoss()


def batch(n=128):
    x = torch.randint(0, 2, (n, 16)).float() * 2 - 1
    click = (x[:, 0] * x[:, 1] + x[:, 2] * x[:, 3] + 0.5 * x[:, 4] > 0).float()
    return x, click


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)
