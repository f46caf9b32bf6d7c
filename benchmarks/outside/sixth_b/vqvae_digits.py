import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

X = torch.tensor(load_digits().data, dtype=torch.float32) / 16


class VectorQuantizer(nn.Module):
    def __init__(self, K=64, D=4):
        super().__init__()
        self.K, self.D = K, D
        self.codebook = nn.Embedding(K, D)
        self.codebook.weight.data.normal_()

    def forward(self, z):
        flat = z.reshape(-1, self.D)
        dist = torch.cdist(flat, self.codebook.weight)
        idx = dist.argmin(1)
        return self.codebook(idx).view_as(z)


class VQVAE(nn.Module):
    def __init__(self, slots=8, D=4):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, slots * D))
        self.vq = VectorQuantizer(D=D)
        self.dec = nn.Sequential(nn.Linear(slots * D, 128), nn.ReLU(), nn.Linear(128, 64))

    def forward(self, x):
        z = self.enc(x)
        q = self.vq(z)
        return self.dec(q)


def batch():
    x = X[torch.randint(0, len(X), (128,))]
    return x, x


def loss(recon, x):
    return F.mse_loss(recon, x)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
