"""Discrete codes for digits: encoder -> nearest code -> decoder."""
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

pixels = torch.tensor(load_digits().data, dtype=torch.float32) / 16
_order = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(2))
train_px, val_px, test_px = pixels[_order[:1200]], pixels[_order[1200:1500]], pixels[_order[1500:]]


class Codebook(nn.Module):
    def __init__(self, n_codes, dim):
        super().__init__()
        self.codes = nn.Parameter(torch.randn(n_codes, dim))

    def forward(self, z):
        # z: (batch, parts, dim)
        distance = (z.unsqueeze(2) - self.codes).pow(2).sum(-1)
        return self.codes[distance.argmin(-1)]


class VQAutoencoder(nn.Module):
    def __init__(self, parts=8, dim=4, n_codes=32, hidden=128):
        super().__init__()
        self.parts, self.dim = parts, dim
        self.encoder = nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, parts * dim))
        self.codebook = Codebook(n_codes, dim)
        self.decoder = nn.Sequential(nn.Linear(parts * dim, hidden), nn.ReLU(), nn.Linear(hidden, 64))

    def forward(self, x):
        z_e = self.encoder(x).view(-1, self.parts, self.dim)
        z_q = self.codebook(z_e)
        return self.decoder(z_q.flatten(1)), z_e, z_q


class VQLoss(nn.Module):
    def __init__(self, beta=0.25):
        super().__init__()
        self.beta = beta

    def forward(self, output, target):
        recon, z_e, z_q = output
        return (
            F.mse_loss(recon, target)
            + F.mse_loss(z_q, z_e.detach())
            + self.beta * F.mse_loss(z_e, z_q.detach())
        )


def model():
    return VQAutoencoder()


def data():
    for i in torch.randperm(len(train_px)).split(64):
        yield train_px[i], train_px[i]


loss = VQLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)


@torch.no_grad()
def metric(model):
    """share of the pixel variance that the codes do not explain"""
    rec = model(val_px)[0]
    return ((rec - val_px).pow(2).mean() / (val_px - train_px.mean(0)).pow(2).mean()).item()


GOAL = 0.45
HIGHER_IS_BETTER = False
