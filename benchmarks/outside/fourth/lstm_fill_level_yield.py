import torch
import torch.nn as nn


class Net(nn.Module):
    def __init__(self, n_in=2, n_hidden=24, n_layers=2):
        super().__init__()
        self.lstm = nn.LSTM(n_in, n_hidden, n_layers, batch_first=True)
        self.linear = nn.Linear(n_hidden, 1)

    def forward(self, x):
        o, _ = self.lstm(x)
        return self.linear(o[:, -1, :])


def batch(batch_size=32, length=250):
    """Batch process: the fill level at the start decides the yield at the end."""
    fill = torch.randn(batch_size)
    x = torch.randn(batch_size, length, 2)
    x[:, :3, 1] = fill[:, None]
    return x, fill[:, None]


loss_fn = nn.MSELoss()


def optimizer(net):
    return torch.optim.Adam(net.parameters(), lr=0.002)
