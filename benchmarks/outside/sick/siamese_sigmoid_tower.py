import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn


class Siamese(nn.Module):
    def __init__(self, w=64, depth=9):
        super().__init__()
        arm = []
        for _ in range(depth):
            arm += [nn.Linear(w, w), nn.Sigmoid()]
        self.arm = nn.Sequential(*arm, nn.Linear(w, 16))
        self.logit_scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, a, b):
        za = F.normalize(self.arm(a), dim=-1)
        zb = F.normalize(self.arm(b), dim=-1)
        return self.logit_scale.exp() * za @ zb.T


X = torch.tensor(load_digits().data / 8 - 1, dtype=torch.float32)


def batch(n=64):
    x = X[torch.randint(0, len(X), (n,))]
    return (x + 0.2 * torch.randn_like(x), x + 0.2 * torch.randn_like(x)), torch.arange(n)


def loss(logits, target):
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
