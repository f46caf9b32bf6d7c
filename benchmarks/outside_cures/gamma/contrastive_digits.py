import torch
from sklearn.datasets import load_digits
from torch import nn

"""Metric learning on digits: contrastive loss over all pairs of a batch (Hadsell et al.)."""

MARGIN = 1.0

digits = load_digits()
feats = torch.as_tensor(digits.data, dtype=torch.float32).div(16).sub(0.305).div(0.376)
labels = torch.as_tensor(digits.target)
gallery, queries = slice(0, 1300), slice(1300, None)


class EmbeddingNet(nn.Module):
    def __init__(self, dim=16):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 96), nn.ReLU())
        self.project = nn.Linear(96, dim)

    def forward(self, x):
        return self.project(self.backbone(x))


def pairwise_distances(e):
    diff = e.unsqueeze(1) - e.unsqueeze(0)
    return torch.sqrt((diff**2).sum(-1))


def loss(embeddings, y):
    d = pairwise_distances(embeddings)
    same = (y[:, None] == y[None, :]).float()
    positive = same * d**2
    negative = (1 - same) * torch.clamp(MARGIN - d, min=0) ** 2
    return (positive + negative).sum() / (len(y) * (len(y) - 1))


def data():
    x, y = feats[gallery], labels[gallery]
    for batch in torch.randperm(len(x)).split(65):
        yield x[batch], y[batch]


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-4)
