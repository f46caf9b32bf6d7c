"""Siamese verification: were these two glyphs written as the same sign?

Pairs are drawn on the fly, half of them matching. Distance-based contrastive loss
(Hadsell, Chopra, LeCun 2006).
"""
import torch
import torch.nn as nn
from sklearn.datasets import load_digits

_d = load_digits()
_order = torch.randperm(len(_d.target), generator=torch.Generator().manual_seed(21))
IMAGES = torch.tensor(_d.data, dtype=torch.float32)[_order] / 16
LABELS = torch.tensor(_d.target)[_order]
N_TRAIN = 1300


def sample_pairs(lo, hi, n, generator=None):
    labels = LABELS[lo:hi]
    pool = [torch.nonzero(labels == c).squeeze(1) + lo for c in range(10)]
    left = torch.randint(lo, hi, (n,), generator=generator)
    same = torch.rand(n, generator=generator) < 0.5
    right = torch.empty_like(left)
    for k in range(n):
        c = LABELS[left[k]].item()
        if not same[k]:
            c = (c + 1 + torch.randint(0, 9, (1,), generator=generator).item()) % 10
        right[k] = pool[c][torch.randint(0, len(pool[c]), (1,), generator=generator)]
    return (IMAGES[left], IMAGES[right]), same.float()


class Twin(nn.Module):
    def __init__(self, dim=16):
        super().__init__()
        self.embed = nn.Sequential(
            nn.Linear(64, 96), nn.ReLU(),
            nn.Linear(96, 96), nn.ReLU(),
            nn.Linear(96, dim),
        )

    def forward(self, left, right):
        gap = self.embed(left) - self.embed(right)
        return gap.pow(2).sum(dim=1).sqrt()


def contrastive(distance, same, margin=1.0):
    pull = same * distance.pow(2)
    push = (1 - same) * (margin - distance).clamp(min=0).pow(2)
    return (pull + push).mean()


def model():
    return Twin()


def data(batches=20, size=64):
    for _ in range(batches):
        yield sample_pairs(0, N_TRAIN, size)


loss = contrastive


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
