"""BYOL: online network predicts an EMA target that gets no gradient."""

import copy

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn


def head(i, h, o):
    return nn.Sequential(nn.Linear(i, h), nn.BatchNorm1d(h), nn.ReLU(inplace=True), nn.Linear(h, o))


class BYOL(nn.Module):
    def __init__(self, m=0.99):
        super().__init__()
        self.online = nn.Sequential(head(64, 128, 64), nn.ReLU(), head(64, 64, 32))
        self.predictor = head(32, 64, 32)
        self.target = copy.deepcopy(self.online)
        for p in self.target.parameters():
            p.requires_grad_(False)
        self.m = m

    @torch.no_grad()
    def update_target(self):
        for o, t in zip(self.online.parameters(), self.target.parameters()):
            t.mul_(self.m).add_(o, alpha=1 - self.m)

    def forward(self, a, b):
        pa, pb = self.predictor(self.online(a)), self.predictor(self.online(b))
        with torch.no_grad():
            ta, tb = self.target(a), self.target(b)
        cos = F.cosine_similarity
        return 4 - 2 * (cos(pa, tb) + cos(pb, ta)).mean()


X = torch.tensor(load_digits().data, dtype=torch.float32) / 8 - 1


def model():
    return BYOL()


def batch(n=128):
    x = X[torch.randint(len(X), (n,))]
    return (x + 0.3 * torch.randn_like(x), x + 0.3 * torch.randn_like(x)), torch.zeros(())


def loss(out, _):
    return out


def optimizer(model):
    params = [*model.online.parameters(), *model.predictor.parameters()]
    return torch.optim.Adam(params, lr=1e-3)
