"""Fit an image with a coordinate MLP (NeRF style encoding).  Notes for the reading group.

pixel (row, col)  ->  gamma(row, col)  ->  MLP  ->  grey value
"""
import math
import torch
import torch.nn as nn

SIZE = 64


def picture():
    r, c = torch.meshgrid(torch.arange(SIZE).float(), torch.arange(SIZE).float(), indexing="ij")
    y, x = r / SIZE, c / SIZE
    img = 0.5 + 0.25 * torch.sin(9 * x + 4 * y * y)
    img += 0.35 * (((x - 0.35) ** 2 + (y - 0.6) ** 2).sqrt() < 0.2).float()
    img -= 0.30 * ((x > 0.55) & (x < 0.9) & (y > 0.15) & (y < 0.45)).float()
    return img.clamp(0, 1)


IMG = picture()
COORDS = torch.stack(torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij"), -1).reshape(-1, 2).float()
VALUES = IMG.reshape(-1, 1)

_order = torch.randperm(len(COORDS), generator=torch.Generator().manual_seed(8))
TRAIN, TEST = _order[:3200], _order[3200:]


def gamma(p, n_freqs=6):
    # eq. (4):  sin(2^k pi p), cos(2^k pi p),  k = 0 .. n_freqs - 1
    out = []
    for k in range(n_freqs):
        out.append(torch.sin(2.0 ** k * math.pi * p))
        out.append(torch.cos(2.0 ** k * math.pi * p))
    return torch.cat(out, dim=-1)


class Field(nn.Module):
    def __init__(self, n_freqs=6, width=96):
        super().__init__()
        self.n_freqs = n_freqs
        self.layers = nn.Sequential(
            nn.Linear(2 * 2 * n_freqs, width), nn.ReLU(),
            nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, 1),
        )

    def forward(self, p):
        return self.layers(gamma(p, self.n_freqs))


def model():
    return Field()


def data():
    for b in TRAIN[torch.randperm(len(TRAIN))].split(128):
        yield COORDS[b], VALUES[b]


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
