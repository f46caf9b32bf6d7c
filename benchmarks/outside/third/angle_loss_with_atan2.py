import torch
import torch.nn.functional as F
from torch import nn


class PoseNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Linear(9, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.direction = nn.Linear(64, 3)
        with torch.no_grad():
            self.direction.weight.mul_(0.1)
            self.direction.bias.copy_(torch.tensor([0.0, 0.0, 1.0]))

    def forward(self, x):
        return F.normalize(self.direction(self.features(x)), dim=-1)


def loss(pred, true):
    cross = torch.linalg.cross(pred, true)
    sine = (cross.pow(2).sum(-1) + 1e-8).sqrt()
    return torch.atan2(sine, (pred * true).sum(-1)).mean()


def batch(n=64):
    d = F.normalize(torch.tensor([0.0, 0.0, 1.0]) + 0.5 * torch.randn(n, 3), dim=-1)
    x = torch.cat([d, d**2, d.roll(1, -1)], -1)
    return x + 0.01 * torch.randn_like(x), d


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
