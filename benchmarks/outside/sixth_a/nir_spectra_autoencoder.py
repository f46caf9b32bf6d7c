"""Autoencoder for NIR absorbance spectra, mixed precision as in the notebook of the group."""
import torch
import torch.nn as nn

AUTOCAST = "float16"
N_WAVE = 512
LAMBDA_REC = 1e-2   # weight of the reconstruction in the full objective

_g = torch.Generator().manual_seed(7)
_grid = torch.linspace(0, 1, N_WAVE)
_pure = torch.stack([torch.exp(-((_grid - c) / w) ** 2) for c, w in zip(torch.rand(5, generator=_g), 0.04 + 0.1 * torch.rand(5, generator=_g))])


def spectra(n):
    conc = torch.rand(n, 5)
    s = 0.2 * conc @ _pure + 0.002 * torch.randn(n, N_WAVE)
    return s - 0.1 * _pure.sum(0)


class SpectraAE(nn.Module):
    def __init__(self, hidden=96, latent=8):
        super().__init__()
        self.scale = 10.0
        self.encoder = nn.Sequential(nn.Linear(N_WAVE, hidden), nn.GELU(), nn.Linear(hidden, latent))
        self.decoder = nn.Sequential(nn.Linear(latent, hidden), nn.GELU(), nn.Linear(hidden, N_WAVE))

    def forward(self, s):
        return self.decoder(self.encoder(s * self.scale)) / self.scale


def batch():
    s = spectra(128)
    return s, s


def loss(rec, s):
    return LAMBDA_REC * nn.functional.mse_loss(rec.float(), s)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
