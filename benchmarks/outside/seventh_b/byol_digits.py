import copy
import torch
from torch import nn
import torch.nn.functional as F
from sklearn.datasets import load_digits


def mlp(i, h, o):
    return nn.Sequential(nn.Linear(i, h), nn.BatchNorm1d(h), nn.ReLU(inplace=True), nn.Linear(h, o))


class BYOL(nn.Module):
    """online net + predictor, target net is a frozen copy (haiku: stop_gradient everywhere)"""

    def __init__(self, tau=0.98):
        super().__init__()
        self.online = nn.Sequential(mlp(64, 96, 48), nn.BatchNorm1d(48), nn.ReLU(), mlp(48, 96, 32))
        self.target = copy.deepcopy(self.online).requires_grad_(False)
        self.predictor = mlp(32, 64, 32)
        self.tau = tau

    @torch.no_grad()
    def momentum_update(self):
        for t, o in zip(self.target.parameters(), self.online.parameters()):
            t.lerp_(o, 1 - self.tau)

    def forward(self, v1, v2):
        if self.training:
            self.momentum_update()
        p1, p2 = self.predictor(self.online(v1)), self.predictor(self.online(v2))
        with torch.no_grad():
            z1, z2 = self.target(v1), self.target(v2)
        return p1, p2, z1, z2


def loss(out, _):
    p1, p2, z1, z2 = out
    return 2 - F.cosine_similarity(p1, z2).mean() - F.cosine_similarity(p2, z1).mean()


X = torch.tensor(load_digits().data, dtype=torch.float32) / 8 - 1


def view(x):
    return x * (torch.rand_like(x) > 0.15) + 0.1 * torch.randn_like(x)


def batch():
    x = X[torch.randint(0, len(X), (128,))]
    return (view(x), view(x)), torch.zeros(128)


def optimizer(model):
    return torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3, weight_decay=1e-5)
