# SimSiam, Chen & He 2021: no negatives, stop-gradient on one side
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

raw = load_digits()
pool = torch.tensor(raw.data / 16.0, dtype=torch.float32)
lab = torch.tensor(raw.target)


class SimSiam(nn.Module):
    def __init__(self, d=64):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(64, 128, bias=False), nn.BatchNorm1d(128), nn.ReLU(inplace=True),
            nn.Linear(128, d, bias=False), nn.BatchNorm1d(d, affine=False),
        )
        self.predictor = nn.Sequential(nn.Linear(d, 16, bias=False), nn.BatchNorm1d(16), nn.ReLU(inplace=True), nn.Linear(16, d))

    def forward(self, x1, x2):
        z1, z2 = self.encoder(x1), self.encoder(x2)
        p1, p2 = self.predictor(z1), self.predictor(z2)
        return p1, p2, z1.detach(), z2.detach()


def loss(out, _):
    p1, p2, z1, z2 = out
    return -(F.cosine_similarity(p1, z2).mean() + F.cosine_similarity(p2, z1).mean()) * 0.5


def augment(x):
    return x * (torch.rand_like(x) > 0.2) + 0.1 * torch.randn_like(x)


def batch():
    i = torch.randint(0, len(pool), (128,))
    return (augment(pool[i]), augment(pool[i])), lab[i]


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
