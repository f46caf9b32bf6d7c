import numpy as np
import torch
from torch import nn

rng = np.random.default_rng(1)
t = np.arange(2000)
price = 40000 + 4000 * np.sin(t / 25) + 2000 * np.sin(t / 7.0) + np.cumsum(rng.normal(0, 30, 2000))
series = price
series = torch.tensor(series, dtype=torch.float32)
windows = series.unfold(0, 21, 1)


class PriceLSTM(nn.Module):
    def __init__(self, input_size=1, hidden_layer_size=32):
        super().__init__()
        self.lstm = nn.LSTM(input_size, hidden_layer_size, batch_first=True)
        self.linear = nn.Linear(hidden_layer_size, 1)

    def forward(self, seq):
        out, _ = self.lstm(seq.unsqueeze(-1))
        return self.linear(out[:, -1])


def loss(pred, nxt):
    return nn.functional.mse_loss(pred, nxt)


def batch():
    i = torch.randint(0, len(windows), (64,))
    w = windows[i]
    return w[:, :20], w[:, 20:]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)
