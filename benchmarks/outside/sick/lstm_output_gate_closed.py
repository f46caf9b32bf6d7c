import torch
from torch import nn


class Forecaster(nn.Module):
    def __init__(self, n=32):
        super().__init__()
        self.lstm = nn.LSTM(1, n, batch_first=True)
        self.linear = nn.Linear(n, 1)
        with torch.no_grad():
            for name, b in self.lstm.named_parameters():
                if "bias" in name:
                    b.zero_()
                    b[3 * n :] = -8.0

    def forward(self, series):
        out, _ = self.lstm(series)
        return self.linear(out[:, -1])


def batch(n=64, T=24):
    t = torch.arange(T + 1) * 0.4
    s = torch.sin(t + torch.rand(n, 1) * 6.28)[..., None]
    return s[:, :T], s[:, T]


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
