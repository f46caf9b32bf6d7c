"""Metric learning with batch-hard triplets (Hermans et al., 2017).

Toy run before we get the leaf photos: digits as identities, 10 ids x 8 pictures per batch.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

raw = load_digits()
pictures = torch.tensor(raw.data, dtype=torch.float32) / 16
ids = torch.tensor(raw.target)

gallery, gallery_ids = pictures[:1200], ids[:1200]
query, query_ids = pictures[1200:], ids[1200:]

P, K = 10, 8


def pk_batch():
    """K random pictures of each of P identities."""
    pick = []
    for p in range(P):
        of_p = (gallery_ids == p).nonzero().squeeze(1)
        pick.append(of_p[torch.randperm(len(of_p))[:K]])
    pick = torch.cat(pick)
    return gallery[pick], gallery_ids[pick]


class Embedder(nn.Module):
    def __init__(self, dim=16):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(64, 128), nn.BatchNorm1d(128), nn.ReLU(),
            nn.Linear(128, 64), nn.BatchNorm1d(64), nn.ReLU(),
        )
        self.embed = nn.Linear(64, dim)

    def forward(self, x):
        return self.embed(self.body(x))


def pairwise_distances(e):
    diff = e.unsqueeze(1) - e.unsqueeze(0)
    return (diff ** 2).sum(-1).sqrt()


def batch_hard(e, y, margin=0.5):
    d = pairwise_distances(e)
    same = y.unsqueeze(0) == y.unsqueeze(1)
    hardest_positive = (d * same).max(1).values
    hardest_negative = d.masked_fill(same, float("inf")).min(1).values
    return F.relu(hardest_positive - hardest_negative + margin).mean()


def model():
    return Embedder()


def data():
    for _ in range(15):  # one "epoch"
        yield pk_batch()


loss = batch_hard


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
