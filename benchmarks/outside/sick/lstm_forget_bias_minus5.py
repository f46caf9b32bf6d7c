import torch
from torch import nn


class Delay(nn.Module):
    """Say at the end which of the two channels spiked in the first five steps."""

    def __init__(self, h=32):
        super().__init__()
        self.lstm = nn.LSTM(2, h, batch_first=True)
        self.fc = nn.Linear(h, 1)
        with torch.no_grad():
            for bias in (self.lstm.bias_ih_l0, self.lstm.bias_hh_l0):
                bias[h : 2 * h].fill_(-2.5)

    def forward(self, x):
        _, (h_n, _) = self.lstm(x)
        return self.fc(h_n[-1]).squeeze(-1)


def batch(n=64, T=50):
    x = torch.randn(n, T, 2) * 0.2
    which = torch.randint(0, 2, (n,))
    x[torch.arange(n), torch.randint(0, 5, (n,)), which] += 3
    return x, which.float()


loss = nn.BCEWithLogitsLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
