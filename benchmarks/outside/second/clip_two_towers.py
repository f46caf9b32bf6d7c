import math

import torch
import torch.nn.functional as F
from torch import nn


class MiniCLIP(nn.Module):
    def __init__(self, d=32):
        super().__init__()
        self.image = nn.Sequential(nn.Linear(48, 96), nn.GELU(), nn.Linear(96, d))
        self.text = nn.Sequential(nn.EmbeddingBag(60, 64, mode="mean"), nn.GELU(), nn.Linear(64, d))
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def forward(self, both):
        img = F.normalize(self.image(both[:, :48]), dim=-1)
        txt = F.normalize(self.text(both[:, 48:].long()), dim=-1)
        return self.logit_scale.exp().clamp(max=100) * img @ txt.T


torch.manual_seed(0)
look = torch.randn(60, 48)


def batch(n=64):
    words = torch.randint(60, (n, 4))
    pixels = look[words].mean(1) * 2 + 0.2 * torch.randn(n, 48)
    return torch.cat([pixels, words.float()], dim=1), torch.arange(n)


def loss(logits, pair):
    return (F.cross_entropy(logits, pair) + F.cross_entropy(logits.T, pair)) / 2


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=2e-3, betas=(0.9, 0.98), weight_decay=0.1)
