"""MLP-Mixer trained under bfloat16 autocast."""

import torch
from sklearn.datasets import load_digits
from torch import nn

AUTOCAST = "bfloat16"


class MixerBlock(nn.Module):
    def __init__(self, tokens, dim):
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.token = nn.Sequential(nn.Linear(tokens, 32), nn.GELU(), nn.Linear(32, tokens))
        self.channel = nn.Sequential(nn.Linear(dim, 128), nn.GELU(), nn.Linear(128, dim))

    def forward(self, x):
        x = x + self.token(self.n1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channel(self.n2(x))


class Mixer(nn.Module):
    def __init__(self, dim=48, depth=4):
        super().__init__()
        self.embed = nn.Conv2d(1, dim, 2, 2)
        self.blocks = nn.Sequential(*[MixerBlock(16, dim) for _ in range(depth)])
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, 10)

    def forward(self, x):
        x = self.embed(x).flatten(2).transpose(1, 2)
        return self.head(self.norm(self.blocks(x)).mean(1))


def model():
    return Mixer()


def batch():
    d = load_digits()
    i = torch.randperm(1797)[:64]
    return torch.tensor(d.images, dtype=torch.float32)[i, None] / 8 - 1, torch.tensor(d.target)[i]


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=2e-3)
