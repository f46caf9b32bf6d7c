"""VQ-VAE for short spectra (sum of a few Gaussian lines), 64 bins -> 8 codes out of 32.

Losses as in van den Oord et al. 2017, codebook drawn from a batch of encodings on first use.
"""
import torch
from torch import nn
from torch.nn import functional as F


def spectra(n, seed):
    g = torch.Generator().manual_seed(seed)
    grid = torch.linspace(0, 1, 64)
    s = torch.zeros(n, 64)
    for _ in range(3):
        centre = torch.rand(n, 1, generator=g)
        height = 0.4 + torch.rand(n, 1, generator=g)
        width = 0.03 + 0.04 * torch.rand(n, 1, generator=g)
        s += height * torch.exp(-((grid - centre) / width) ** 2)
    return (s + 0.02 * torch.randn(s.shape, generator=g)).unsqueeze(1)


TRAIN = spectra(2000, 10)
TEST = spectra(400, 11)


class VectorQuantizer(nn.Module):
    def __init__(self, n_codes, dim, beta=0.25):
        super().__init__()
        self.beta = beta
        self.codebook = nn.Embedding(n_codes, dim)
        nn.init.uniform_(self.codebook.weight, -1 / n_codes, 1 / n_codes)
        self.register_buffer("started", torch.tensor(False))

    def forward(self, z):  # z: B, D, L
        flat = z.transpose(1, 2).reshape(-1, z.shape[1])
        if self.training and not self.started:
            with torch.no_grad():
                pick = torch.randperm(len(flat))[: self.codebook.num_embeddings]
                if len(pick) == self.codebook.num_embeddings:
                    self.codebook.weight.copy_(flat[pick])
                    self.started.fill_(True)
        with torch.no_grad():
            code = torch.cdist(flat, self.codebook.weight).argmin(1)
        q = self.codebook(code).view(z.shape[0], z.shape[2], z.shape[1]).transpose(1, 2)
        vq = F.mse_loss(q, z.detach()) + self.beta * F.mse_loss(z, q.detach())
        return z + (q - z).detach(), vq, code


class VQVAE(nn.Module):
    def __init__(self, dim=16, n_codes=32, ch=32):
        super().__init__()
        self.enc = nn.Sequential(
            nn.Conv1d(1, ch, 4, 2, 1), nn.ReLU(),
            nn.Conv1d(ch, ch, 4, 2, 1), nn.ReLU(),
            nn.Conv1d(ch, ch, 4, 2, 1), nn.ReLU(),
            nn.Conv1d(ch, dim, 1), nn.BatchNorm1d(dim, affine=False),
        )
        self.vq = VectorQuantizer(n_codes, dim)
        self.dec = nn.Sequential(
            nn.Conv1d(dim, ch, 3, 1, 1), nn.ReLU(),
            nn.ConvTranspose1d(ch, ch, 4, 2, 1), nn.ReLU(),
            nn.ConvTranspose1d(ch, ch, 4, 2, 1), nn.ReLU(),
            nn.ConvTranspose1d(ch, 1, 4, 2, 1),
        )

    def forward(self, x):
        q, vq, _ = self.vq(self.enc(x))
        return self.dec(q), vq


def loss(output, target):
    recon, vq = output
    return F.mse_loss(recon, target) / 0.05 + vq


def model():
    return VQVAE()


def data():
    for i in torch.randperm(len(TRAIN)).split(64):
        yield TRAIN[i], TRAIN[i]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
