"""A small VAE on 8x8 glyphs -- companion code to the blog post "Latent spaces for busy people".

The network returns (reconstruction logits, mu, logvar); the ELBO is computed in `loss`.
"""
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

glyphs = torch.tensor(load_digits().data / 16.0, dtype=torch.float32)
perm = torch.randperm(len(glyphs), generator=torch.Generator().manual_seed(4))
train, test = glyphs[perm[:1500]], glyphs[perm[1500:]]


class VAE(nn.Module):
    def __init__(self, latent=8, hidden=128):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, hidden), nn.SiLU(), nn.Linear(hidden, 2 * latent))
        self.decoder = nn.Sequential(nn.Linear(latent, hidden), nn.SiLU(), nn.Linear(hidden, 64))

    def forward(self, x):
        mu, logvar = self.encoder(x).chunk(2, dim=-1)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar) if self.training else mu
        return self.decoder(z), mu, logvar


def loss(output, x):
    logits, mu, logvar = output
    reconstruction = F.binary_cross_entropy_with_logits(logits, x)
    kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp(), dim=1).mean()
    return reconstruction + kl


def model():
    return VAE()


def data():
    for b in train[torch.randperm(len(train))].split(100):
        yield b, b


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
