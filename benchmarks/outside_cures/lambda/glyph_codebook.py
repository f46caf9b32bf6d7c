"""Compress 8x8 glyphs to four codebook indices each (small VQ-VAE after van den Oord et al.)"""
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

glyphs = torch.tensor(load_digits().images, dtype=torch.float32).unsqueeze(1) / 16
glyphs = glyphs[torch.randperm(len(glyphs), generator=torch.Generator().manual_seed(5))]
glyphs_train, glyphs_test = glyphs[:1440], glyphs[1440:]


class Quantiser(nn.Module):
    def __init__(self, codes=64, dim=8):
        super().__init__()
        self.codebook = nn.Parameter(torch.randn(codes, dim) * 0.5)

    def forward(self, z):
        flat = z.detach()
        with torch.no_grad():
            nearest = torch.cdist(flat, self.codebook.expand(len(z), -1, -1)).argmin(-1)
        q = self.codebook[nearest]
        commit = (z - q.detach()).pow(2).mean()
        codebook = (flat - q).pow(2).mean()
        # straight through
        return z + (q - z).detach(), codebook + 0.25 * commit


class GlyphVQ(nn.Module):
    def __init__(self, dim=8, slots=4):
        super().__init__()
        self.slots, self.dim = slots, dim
        self.enc = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, slots * dim))
        self.vq = Quantiser(dim=dim)
        self.dec = nn.Sequential(nn.Linear(slots * dim, 128), nn.ReLU(), nn.Linear(128, 64), nn.Unflatten(1, (1, 8, 8)))

    def forward(self, x):
        z = self.enc(x).view(-1, self.slots, self.dim)
        q, penalty = self.vq(z)
        return self.dec(q.flatten(1)), penalty


def model():
    return GlyphVQ()


def data():
    for b in glyphs_train[torch.randperm(len(glyphs_train))].split(60):
        yield b, b


def loss(out, x):
    recon, penalty = out
    return F.mse_loss(recon, x) / 0.07 + penalty


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
