"""Two parameter groups: the filters should move a little slower than the head."""
import torch
from torch import nn


class StripeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 5, stride=2), nn.ReLU(), nn.Conv2d(8, 3, 3, stride=2), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(3, 4)

    def forward(self, x):
        return self.head(self.pool(self.stem(x)).flatten(1))


def batch(n=64):
    k = torch.randint(4, (n,))
    r = torch.linspace(-1, 1, 20)
    yy, xx = torch.meshgrid(r, r, indexing="ij")
    a = k * torch.pi / 4
    wave = torch.sin(12 * (xx * a.cos()[:, None, None] + yy * a.sin()[:, None, None]) + 6.3 * torch.rand(n, 1, 1))
    contrast = 0.3 + 1.2 * torch.rand(n, 1, 1)
    return (contrast * wave + 0.4 * torch.randn(n, 20, 20)).unsqueeze(1), k


def optimizer(model):
    return torch.optim.Adam(
        [
            {"params": model.stem.parameters(), "lr": 3e-8},
            {"params": model.head.parameters(), "lr": 3e-3},
        ]
    )
