"""VQ-VAE on digits: four codes a picture, straight-through gradient."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F


class VectorQuantizer(nn.Module):
    def __init__(self, n=64, d=16, beta=0.25):
        super().__init__()
        self.codebook = nn.Embedding(n, d)
        nn.init.uniform_(self.codebook.weight, -1.0, 1.0)
        self.beta = beta

    def forward(self, z):
        dist = torch.cdist(z.detach(), self.codebook.weight.detach())
        q = self.codebook(dist.argmin(-1))
        commit = F.mse_loss(q, z.detach()) + self.beta * F.mse_loss(z, q.detach())
        return z + (q - z).detach(), commit


class VQVAE(nn.Module):
    def __init__(self, d=16):
        super().__init__()
        self.e1, self.e2 = nn.Linear(16, 64), nn.Linear(64, d)
        self.vq = VectorQuantizer(d=d)
        self.d1, self.d2 = nn.Linear(d, 64), nn.Linear(64, 16)

    def forward(self, x):
        patches = F.unfold(x, 4, stride=4).transpose(1, 2)
        z = self.e2(F.silu(self.e1(patches)))
        q, commit = self.vq(F.layer_norm(z, z.shape[-1:]))
        out = self.d2(F.silu(self.d1(q)))
        return F.fold(out.transpose(1, 2), 8, 4, stride=4), commit


def model():
    return VQVAE()


def loss(output, target):
    recon, commit = output
    return F.mse_loss(recon, target) / 0.5 + commit


def batch():
    x = torch.tensor(load_digits().images).float().unsqueeze(1) / 8 - 1
    x = x[torch.randint(0, 1797, (64,))]
    return x, x


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
