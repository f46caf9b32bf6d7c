import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import make_blobs

POOL = torch.tensor(make_blobs(4000, 24, centers=12, cluster_std=1.0, random_state=0)[0], dtype=torch.float32)
POOL = (POOL - POOL.mean(0)) / POOL.std(0)


class SimSiam(nn.Module):
    def __init__(self, d=24, h=64, z=32):
        super().__init__()
        self.f = nn.Sequential(nn.Linear(d, h, bias=False), nn.BatchNorm1d(h), nn.ReLU(inplace=True),
                               nn.Linear(h, z, bias=False), nn.BatchNorm1d(z, affine=False))
        self.h = nn.Sequential(nn.Linear(z, 16, bias=False), nn.BatchNorm1d(16), nn.ReLU(inplace=True), nn.Linear(16, z))

    def forward(self, x1, x2):
        z1, z2 = self.f(x1), self.f(x2)
        return self.h(z1), self.h(z2), z1.detach(), z2.detach()


def loss(out, _):
    p1, p2, z1, z2 = out
    return -0.5 * (F.cosine_similarity(p1, z2).mean() + F.cosine_similarity(p2, z1).mean())


def batch(n=256):
    x = POOL[torch.randint(0, len(POOL), (n,))]
    aug = lambda v: (v + 0.3 * torch.randn_like(v)) * (torch.rand_like(v) > 0.15)
    return (aug(x), aug(x)), torch.zeros(n)


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
