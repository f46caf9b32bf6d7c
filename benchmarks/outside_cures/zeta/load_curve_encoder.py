"""
Day-ahead load curve: 48 half-hours in, the next 6 out.  One channel (MW, standardised).
"""
import math

import torch
from torch import nn


def make_windows(n: int, seed: int, past: int = 48, ahead: int = 6):
    g = torch.Generator().manual_seed(seed)
    t = torch.arange(past + ahead, dtype=torch.float32)
    period = 16 + 16 * torch.rand(n, 1, generator=g)
    phase = 2 * math.pi * torch.rand(n, 1, generator=g)
    amp = 0.6 + 0.9 * torch.rand(n, 1, generator=g)
    trend = 0.01 * torch.randn(n, 1, generator=g)
    level = 0.4 * torch.randn(n, 1, generator=g)
    y = amp * torch.sin(2 * math.pi * t / period + phase) + trend * t + level
    y = y + 0.1 * torch.randn(y.shape, generator=g)
    return y[:, :past].unsqueeze(-1), y[:, past:]


class LoadEncoder(nn.Module):
    def __init__(self, channels: int = 1, d_model: int = 32, past: int = 48, ahead: int = 6, layers: int = 2):
        super().__init__()
        self.embed = nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, d_model))
        self.position = nn.Parameter(0.02 * torch.randn(past, d_model))
        self.encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(
                d_model, nhead=4, dim_feedforward=64, dropout=0.0, batch_first=True, norm_first=True
            ),
            layers,
            norm=nn.LayerNorm(d_model),
            enable_nested_tensor=False,
        )
        self.head = nn.Linear(d_model * past, ahead)

    def forward(self, x):
        z = self.encoder(self.embed(x) + self.position)
        return self.head(z.flatten(1))


train_x, train_y = make_windows(1536, seed=5)
valid_x, valid_y = make_windows(400, seed=6)


def model():
    return LoadEncoder()


def data():
    for i in torch.randperm(len(train_x)).split(32):
        yield train_x[i], train_y[i]


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=1e-3)
