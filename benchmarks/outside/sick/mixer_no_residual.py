from functools import partial

import torch
from sklearn.datasets import load_digits
from torch import nn


def mlp(dim, hidden):
    return nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))


class MixerBlock(nn.Module):
    def __init__(self, tokens, dim):
        super().__init__()
        self.token_mix = mlp(tokens, 32)
        self.channel_mix = mlp(dim, 64)

    def forward(self, x):
        x = self.token_mix(x.transpose(1, 2)).transpose(1, 2)
        return self.channel_mix(x)


class MLPMixer(nn.Module):
    def __init__(self, tokens=16, dim=32, depth=10, classes=10):
        super().__init__()
        self.patchify = partial(nn.functional.unfold, kernel_size=2, stride=2)
        self.embed = nn.Linear(4, dim)
        self.blocks = nn.Sequential(*(MixerBlock(tokens, dim) for _ in range(depth)))
        self.head = nn.Linear(dim, classes)
        self.apply(self._init)

    @staticmethod
    def _init(m):
        if isinstance(m, nn.Linear):
            nn.init.trunc_normal_(m.weight, std=0.02)
            nn.init.zeros_(m.bias)

    def forward(self, img):
        x = self.embed(self.patchify(img).transpose(1, 2))
        return self.head(self.blocks(x).mean(dim=1))


def data():
    d = load_digits()
    x = (torch.tensor(d.images).float()[:, None] - 4.88) / 6.02
    y = torch.tensor(d.target)
    for idx in torch.randperm(len(y)).split(128):
        yield x[idx], y[idx]


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
