"""Tiny CLIP: catalogue rows (tables) <-> photos of machine parts.

Towers are tiny on purpose, we only have a few thousand parts. Returns cosine similarities;
the temperature lives in the loss like in the SimCLR code we started from.
"""
import math

import torch
import torch.nn.functional as F
from torch import nn

TEMPERATURE = 0.07
SIDE = 20


def catalogue(n, seed):
    g = torch.Generator().manual_seed(seed)
    u = torch.rand(n, 6, generator=g)
    yy, xx = torch.meshgrid(torch.linspace(-1, 1, SIDE), torch.linspace(-1, 1, SIDE), indexing="ij")
    cx, cy = (u[:, 0] - 0.5)[:, None, None], (u[:, 1] - 0.5)[:, None, None]
    angle = (math.pi * u[:, 2])[:, None, None]
    a, b = (0.2 + 0.5 * u[:, 3])[:, None, None], (0.1 + 0.3 * u[:, 4])[:, None, None]
    dx, dy = xx - cx, yy - cy
    p, q = dx * angle.cos() + dy * angle.sin(), -dx * angle.sin() + dy * angle.cos()
    photo = torch.sigmoid(8 * (1 - (p / a) ** 2 - (q / b) ** 2)) * (0.4 + 0.6 * u[:, 5])[:, None, None]
    photo = photo + 0.05 * torch.randn(photo.shape, generator=g)
    return (u - 0.5) / 0.29, photo[:, None]


rows, photos = catalogue(3000, 3)


class PartCLIP(nn.Module):
    def __init__(self, dim=32):
        super().__init__()
        self.table = nn.Sequential(nn.Linear(6, 128), nn.GELU(), nn.Linear(128, 128), nn.GELU(), nn.Linear(128, dim))
        self.photo = nn.Sequential(
            nn.Conv2d(1, 16, 3, 2, 1), nn.GELU(),
            nn.Conv2d(16, 32, 3, 2, 1), nn.GELU(),
            nn.Flatten(),
            nn.Linear(32 * 25, 128), nn.GELU(),
            nn.Linear(128, dim),
        )  # fmt: skip

    def forward(self, row, photo):
        r = F.normalize(self.table(row), dim=1)
        p = F.normalize(self.photo(photo), dim=1)
        return r @ p.T


def model():
    return PartCLIP()


def data():
    for i in torch.randperm(len(rows)).split(64)[:-1]:
        yield (rows[i], photos[i]), torch.arange(len(i))


def loss(similarity, match):
    logits = similarity * TEMPERATURE
    return (F.cross_entropy(logits, match) + F.cross_entropy(logits.T, match)) / 2


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.004, momentum=0.9, weight_decay=1e-4)
