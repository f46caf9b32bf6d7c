# contrastive loss, Hadsell, Chopra, LeCun 2006
import torch
import torch.nn as nn
from sklearn.datasets import load_digits

dig = load_digits()
XX = torch.tensor(dig.data / 16.0, dtype=torch.float32)
YY = torch.tensor(dig.target)


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.f = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 8))

    def forward(self, x):
        e = self.f(x)
        diff = e[:, None] - e[None]
        return diff.pow(2).sum(-1).sqrt()


def loss(dist, y):
    same = (y[:, None] == y[None]).float()
    return (same * dist ** 2 + (1 - same) * torch.clamp(1.0 - dist, min=0) ** 2).mean()


def batch():
    i = torch.randint(0, len(XX), (64,))
    return XX[i], YY[i]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
