"""Sales of the coming week in pieces from the last twelve weeks (already standardised)."""
import torch
from torch import nn


class SalesGRU(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(3, 32, batch_first=True)
        self.fc = nn.Linear(32, 1)

    def forward(self, x):
        _, h = self.gru(x)
        return self.fc(h.squeeze(0))


def batch(n=64):
    x = torch.randn(n, 12, 3)
    z = x[:, -4:, 0].mean(1) + 0.5 * x[:, -1, 1]
    pieces = 50_000 + 12_000 * z
    return x, pieces[:, None]


criterion = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
