import torch
from torch import nn
from sklearn.datasets import load_digits

_d = load_digits()
IMGS = torch.tensor(_d.data, dtype=torch.float32) / 8.0 - 1.0
IDS = torch.tensor(_d.target)


class Embedder(nn.Module):
    def __init__(self, dim=16):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Linear(128, dim))

    def forward(self, x):
        return self.body(x)


def pairwise_distances(e):
    diff = e.unsqueeze(0) - e.unsqueeze(1)
    return torch.sqrt((diff ** 2).sum(-1))


def loss(emb, ids, margin=1.0):
    """batch hard mining, Hermans et al. 2017"""
    d = pairwise_distances(emb)
    same = (ids[:, None] == ids[None, :]).float()
    hardest_pos = (d * same).max(1).values
    hardest_neg = (d + 1e4 * same).min(1).values
    valid = d.mean() * 1e-3
    return torch.relu(hardest_pos - hardest_neg + margin).mean() + valid


def batch():
    i = torch.randint(0, len(IDS), (64,))
    return IMGS[i], IDS[i]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
