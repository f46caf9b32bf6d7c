"""SimSiam (Chen & He, 2021) without labels, on sklearn's digits.

Two noisy, shifted views of each picture; predictor on one branch, stop-gradient on the other.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

images = torch.tensor(load_digits().images, dtype=torch.float32).unsqueeze(1) / 8 - 1
labels = torch.tensor(load_digits().target)  # for the evaluation only
unlabelled = images[:1400]


def augment(x):
    pad = F.pad(x, (1, 1, 1, 1), value=-1.0)
    i, j = torch.randint(0, 3, (2,)).tolist()
    x = pad[:, :, i : i + 8, j : j + 8]
    keep = (torch.rand_like(x) > 0.15).float()
    return x * keep - (1 - keep) + 0.2 * torch.randn_like(x)


class SimSiam(nn.Module):
    def __init__(self, dim=64, bottleneck=16):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Flatten(),
            nn.Linear(64, 128, bias=False), nn.BatchNorm1d(128), nn.ReLU(),
            nn.Linear(128, dim, bias=False), nn.BatchNorm1d(dim, affine=False),
        )
        self.predictor = nn.Sequential(
            nn.Linear(dim, bottleneck, bias=False), nn.BatchNorm1d(bottleneck), nn.ReLU(),
            nn.Linear(bottleneck, dim),
        )

    def forward(self, a, b):
        za, zb = self.encoder(a), self.encoder(b)
        pa, pb = self.predictor(za), self.predictor(zb)
        return pa, pb, za.detach(), zb.detach()


def loss(out, _):
    pa, pb, za, zb = out
    return -0.5 * (F.cosine_similarity(pa, zb).mean() + F.cosine_similarity(pb, za).mean())


def model():
    return SimSiam()


def data():
    for i in torch.randperm(len(unlabelled)).split(140):
        x = unlabelled[i]
        yield (augment(x), augment(x)), i


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
