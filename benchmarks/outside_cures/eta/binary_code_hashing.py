"""24-bit codes for digit images (semantic hashing): encoder -> sign -> decoder.

sign() has no derivative, so the backward pass pretends that it was the identity inside [-1, 1]
(Bengio et al. 2013; Courbariaux & Bengio 2016).
"""
import torch
from sklearn.datasets import load_digits
from torch import nn

BITS = 24
pix = torch.tensor(load_digits().data / 16.0).float()
order = torch.randperm(len(pix), generator=torch.Generator().manual_seed(2))
seen, unseen = pix[order[:1500]], pix[order[1500:]]


class Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a):
        ctx.save_for_backward(a)
        return torch.where(a >= 0, 1.0, -1.0)

    @staticmethod
    def backward(ctx, g):
        (a,) = ctx.saved_tensors
        return g * (a.abs() <= 1)


class HashAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, BITS))
        self.dec = nn.Sequential(nn.Linear(BITS, 128), nn.ReLU(), nn.Linear(128, 64))

    def code(self, x):
        return Sign.apply(self.enc(x))

    def forward(self, x):
        return self.dec(self.code(x))


def model():
    return HashAE()


def data():
    for i in torch.randperm(len(seen)).split(75):
        yield seen[i], seen[i]


def loss(out, x):
    return ((out - x) ** 2).sum(1).mean()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
