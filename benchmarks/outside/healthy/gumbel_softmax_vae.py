"""Categorical VAE with straight-through Gumbel softmax, 8 variables of 8 classes."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

X = torch.tensor(load_digits().data > 7).float()


class CatVAE(nn.Module):
    def __init__(self, n=8, k=8, tau=1.0):
        super().__init__()
        self.n, self.k, self.tau = n, k, tau
        self.enc = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, n * k))
        self.dec = nn.Sequential(nn.Linear(n * k, 128), nn.ReLU(), nn.Linear(128, 64))

    def forward(self, x):
        logits = self.enc(x).view(-1, self.n, self.k)
        z = F.gumbel_softmax(logits, self.tau, hard=True)
        q = logits.softmax(-1)
        kl = (q * (logits.log_softmax(-1) + torch.log(torch.tensor(float(self.k))))).sum((1, 2))
        return self.dec(z.flatten(1)), kl


def loss(out, x):
    recon, kl = out
    bce = F.binary_cross_entropy_with_logits(recon, x, reduction="none").sum(1)
    return (bce + 0.5 * kl).mean()


def model():
    return CatVAE()


def batch():
    x = X[torch.randint(0, 1797, (100,))]
    return x, x


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
