"""Patches of a texture -> class. The memory ran out once, so the feature part got no_grad."""
import torch
from torch import nn


class TextureModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 5, stride=2), nn.ReLU(),
            nn.Conv2d(8, 4, 3, stride=2), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )
        self.head = nn.Linear(4, 6)

    def forward(self, x):
        with torch.no_grad():
            f = self.features(x)
        return self.head(f)


def batch(n=64):
    k = torch.randint(6, (n,))
    r = torch.linspace(-1, 1, 24)
    yy, xx = torch.meshgrid(r, r, indexing="ij")
    a = k * torch.pi / 6
    wave = torch.sin(14 * (xx * a.cos()[:, None, None] + yy * a.sin()[:, None, None]) + 6.3 * torch.rand(n, 1, 1))
    return (wave * (0.3 + 1.2 * torch.rand(n, 1, 1)) + 0.5 * torch.randn(n, 24, 24)).unsqueeze(1), k


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
