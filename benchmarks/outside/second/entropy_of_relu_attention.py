import torch
from torch import nn


class RoutedSum(nn.Module):
    """Sparse mixing of sensors with an entropy regulariser in the second output."""

    def __init__(self, sensors=12):
        super().__init__()
        self.score = nn.Sequential(nn.Linear(sensors, 32), nn.Tanh(), nn.Linear(32, sensors))
        self.scale = nn.Linear(1, 1)

    def forward(self, x):
        w = torch.relu(self.score(x)) + 0.0
        p = w / w.sum(dim=1, keepdim=True).clamp(min=1e-6)
        penalty = -(p * p.log()).sum(1)
        return self.scale((p * x).sum(1, keepdim=True)).squeeze(1), penalty


def batch(n=64):
    x = torch.randn(n, 12)
    return x, x.max(dim=1).values


def loss(output, y):
    prediction, entropy = output
    return (prediction - y).pow(2).mean() + 0.01 * entropy.mean()


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=0.01)
