import torch
import torch.nn as nn
from sklearn.datasets import load_digits


def D(p, z):
    z = z.detach()
    p = nn.functional.normalize(p, dim=1)
    z = nn.functional.normalize(z, dim=1)
    return -(p * z).sum(dim=1).mean()


class SimSiam(nn.Module):
    def __init__(self, dim=64, pred=16):
        super().__init__()
        self.f = nn.Sequential(
            nn.Linear(64, 128),
            nn.BatchNorm1d(128),
            nn.ReLU(),
            nn.Linear(128, dim),
            nn.BatchNorm1d(dim, affine=False),
        )
        self.h = nn.Sequential(
            nn.Linear(dim, pred, bias=False), nn.BatchNorm1d(pred), nn.ReLU(), nn.Linear(pred, dim)
        )

    def forward(self, x1, x2):
        z1, z2 = self.f(x1), self.f(x2)
        p1, p2 = self.h(z1), self.h(z2)
        return 0.5 * D(p1, z2) + 0.5 * D(p2, z1)


samples = torch.tensor(load_digits().data / 16 - 0.3).float()


def batch():
    x = samples[torch.randint(0, 1797, (128,))]
    keep = lambda: (torch.rand_like(x) > 0.15).float()  # noqa: E731
    return (x * keep(), x * keep()), torch.tensor(0.0)


def loss(out, _):
    return out


def model():
    return SimSiam()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
