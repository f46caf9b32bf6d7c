import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

# VQ-VAE (van den Oord et al. 2017) on 8x8 digits: 4 codes of 8 numbers out of a book of 32


class VectorQuantizer(nn.Module):
    def __init__(self, n_codes, dim, beta=0.25):
        super().__init__()
        self.book = nn.Embedding(n_codes, dim)
        self.book.weight.data.uniform_(-0.5, 0.5)
        self.beta = beta

    def forward(self, z):
        d = torch.cdist(z.detach().reshape(-1, z.shape[-1]), self.book.weight.detach())
        code = d.argmin(1).view(z.shape[:-1])
        q = self.book(code)
        commit = F.mse_loss(q, z.detach()) + self.beta * F.mse_loss(z, q.detach())
        q = z + (q - z).detach()
        return q, commit


class VQVAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 32))
        self.vq = VectorQuantizer(32, 8)
        self.dec = nn.Sequential(nn.Linear(32, 96), nn.ReLU(), nn.Linear(96, 64), nn.Sigmoid())

    def forward(self, x):
        z = self.enc(x).view(len(x), 4, 8)
        q, commit = self.vq(z)
        return self.dec(q.reshape(len(x), 32)), commit


def model():
    return VQVAE()


digits = torch.from_numpy(load_digits().data).float().div(16)
TRAIN = digits[:1400]


def data():
    for batch in TRAIN[torch.randperm(len(TRAIN))].split(70):
        yield batch, batch


def loss(output, x):
    recon, commit = output
    return F.mse_loss(recon, x) + commit


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
