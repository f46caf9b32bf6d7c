import torch
from torch import nn


class Counter(nn.Module):
    """Counts ones, modulo nothing: plain regression on the sum."""

    def __init__(self, hidden=32):
        super().__init__()
        self.gru = nn.GRU(1, hidden, batch_first=True)
        self.fc = nn.Linear(hidden, 1)
        with torch.no_grad():
            # remember everything
            self.gru.bias_ih_l0[hidden : 2 * hidden] += 20

    def forward(self, x):
        _, h = self.gru(x)
        return self.fc(h[-1]).squeeze(-1)


def batch(n=64, T=20):
    x = (torch.rand(n, T, 1) < 0.5).float()
    return x, (x.sum((1, 2)) - 10) / 2.2


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
