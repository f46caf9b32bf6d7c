# Churn model: customer logs, the complaint (if any) is in the first week of the year.
import torch
from torch import nn


class ChurnGRU(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(input_size=6, hidden_size=32, batch_first=True)
        self.out = nn.Linear(32, 1)

    def forward(self, x):
        _, h = self.gru(x)
        return self.out(h[-1]).squeeze(-1)


def batch():
    n, days = 32, 200
    x = torch.randn(n, days, 6) * 0.5
    churn = torch.randint(0, 2, (n,))
    day = torch.randint(0, 7, (n,))
    x[torch.arange(n), day, 0] += 4.0 * churn
    x[:, 7:, 0] = 0.5 * torch.randn(n, days - 7)
    return x, churn.float()


criterion = nn.BCEWithLogitsLoss()


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=1e-3)
