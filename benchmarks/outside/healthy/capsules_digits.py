"""Dynamic routing between capsules, three iterations, margin loss."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn


def squash(s, dim=-1):
    n2 = (s**2).sum(dim, keepdim=True)
    return n2 / (1 + n2) * s / torch.sqrt(n2 + 1e-8)


class CapsNet(nn.Module):
    def __init__(self, routing=3):
        super().__init__()
        self.conv = nn.Conv2d(1, 32, 3, padding=1)
        self.primary = nn.Conv2d(32, 8 * 8, 3, stride=2)
        self.W = nn.Parameter(0.1 * torch.randn(1, 72, 10, 12, 8))
        self.routing = routing

    def forward(self, x):
        h = F.relu(self.conv(x))
        u = self.primary(h).view(len(x), 8, 8, -1).permute(0, 1, 3, 2)
        u = squash(u.reshape(len(x), -1, 8))
        u_hat = (self.W @ u[:, :, None, :, None]).squeeze(-1)
        b = torch.zeros(*u_hat.shape[:3])
        for i in range(self.routing):
            c = F.softmax(b, dim=2)
            src = u_hat if i == self.routing - 1 else u_hat.detach()
            v = squash((c[..., None] * src).sum(1))
            if i < self.routing - 1:
                b = b + (src * v[:, None]).sum(-1)
        return v.norm(dim=-1)


def loss(lengths, target):
    t = F.one_hot(target, 10).float()
    pos = F.relu(0.9 - lengths) ** 2
    neg = F.relu(lengths - 0.1) ** 2
    return (t * pos + 0.5 * (1 - t) * neg).sum(1).mean()


def model():
    return CapsNet()


def batch():
    d = load_digits()
    i = torch.randint(1797, (48,))
    return torch.tensor(d.images, dtype=torch.float32)[i, None] / 16, torch.tensor(d.target)[i]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
