"""One expert per season, picked by the season of the row."""
import torch
from torch import nn


class SeasonNet(nn.Module):
    def __init__(self, n_in=6):
        super().__init__()
        self.experts = {
            s: nn.Sequential(nn.Linear(n_in, 32), nn.ReLU(), nn.Linear(32, 1))
            for s in ("winter", "spring", "summer", "autumn")
        }
        self.offset = nn.Parameter(torch.zeros(1))

    def forward(self, x, season):
        out = torch.stack([self.experts[s](x) for s in self.experts], dim=1)
        return out[torch.arange(len(x)), season] + self.offset


def batch(n=128):
    x = torch.randn(n, 6)
    season = torch.randint(4, (n,))
    sign = torch.tensor([1.0, -1.0, 2.0, 0.5])[season]
    y = sign * (x[:, 0] + x[:, 1] * x[:, 2])
    return (x, season), y[:, None]


criterion = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
