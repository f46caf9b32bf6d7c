import torch, math
import torch.nn as nn


class FourierFeatures(nn.Module):
    """B is drawn once and never trained (Tancik et al.)"""

    def __init__(self, n=64, sigma=6.0):
        super().__init__()
        self.B = nn.Parameter(torch.randn(2, n) * sigma, requires_grad=False)

    def forward(self, v):
        p = 2 * math.pi * v @ self.B
        return torch.cat([torch.sin(p), torch.cos(p)], -1)


def bathymetry_net():
    return nn.Sequential(
        FourierFeatures(),
        nn.Linear(128, 64), nn.ReLU(),
        nn.Linear(64, 64), nn.ReLU(),
        nn.Linear(64, 1),
    )


def batch(n=512):
    lonlat = torch.rand(n, 2)
    x, y = lonlat[:, 0], lonlat[:, 1]
    z = torch.sin(12 * x + 5 * y) * 0.5 + torch.tanh(10 * (y - 0.5 - 0.1 * torch.sin(20 * x)))
    return lonlat, z[:, None]


def loss(pred, depth):
    return (pred - depth).abs().mean()


def optimizer(model):
    params = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.Adam(params, lr=2e-3)
