"""Perceiver-like: 8 learned latents read a set of 64 pixels by cross attention, weights shared."""

import torch
from sklearn.datasets import load_digits
from torch import nn


class Perceiver(nn.Module):
    def __init__(self, n_latents=8, d=64, rounds=3):
        super().__init__()
        self.latents = nn.Parameter(torch.randn(n_latents, d) * 0.02)
        self.inp = nn.Linear(1 + 32, d)
        self.norm_in, self.norm_q = nn.LayerNorm(d), nn.LayerNorm(d)
        self.cross = nn.MultiheadAttention(d, 1, batch_first=True)
        self.self_block = nn.TransformerEncoderLayer(
            d, 4, 128, dropout=0.0, batch_first=True, norm_first=True, activation="gelu"
        )
        self.rounds = rounds
        self.out = nn.Linear(d, 10)
        t = torch.linspace(-1, 1, 8)
        grid = torch.stack(torch.meshgrid(t, t, indexing="ij"), -1).view(64, 2)
        freqs = 3.1416 * 2.0 ** torch.linspace(0, 2, 8)
        ang = (grid[..., None] * freqs).flatten(1)
        self.register_buffer("fourier", torch.cat([ang.sin(), ang.cos()], -1))

    def forward(self, pixels):
        b = pixels.shape[0]
        x = torch.cat([pixels[..., None], self.fourier.expand(b, -1, -1)], -1)
        x = self.norm_in(self.inp(x))
        z = self.latents.expand(b, -1, -1)
        for _ in range(self.rounds):
            z = z + self.cross(self.norm_q(z), x, x, need_weights=False)[0]
            z = self.self_block(z)
        return self.out(z.mean(1))


def model():
    return Perceiver()


def batch():
    x, y = load_digits(return_X_y=True)
    sel = torch.randint(0, len(y), (64,))
    return torch.tensor(x / 8 - 1, dtype=torch.float32)[sel], torch.tensor(y)[sel]


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=1e-3)
