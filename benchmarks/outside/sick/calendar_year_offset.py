import torch
from torch import nn


class SalesNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1 = nn.Linear(3, 64)
        self.l2 = nn.Linear(64, 64)
        self.l3 = nn.Linear(64, 1)

    def forward(self, x):
        x = nn.functional.leaky_relu(self.l1(x))
        x = nn.functional.leaky_relu(self.l2(x))
        return self.l3(x).squeeze(1)


def batch(n=256):
    """Year built, year renovated, year sold."""
    built = 1990 + 8 * torch.randn(n)
    renovated = built + 10 + 3 * torch.randn(n)
    sold = 2015 + 4 * torch.randn(n)
    y = torch.tanh((sold - built - 25) / 8) - 0.5 * torch.tanh((renovated - 2000) / 8)
    x = torch.stack([built, renovated, sold], dim=1)
    return x, y


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
