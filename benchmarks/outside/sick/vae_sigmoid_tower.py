import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F


def tower(*dims):
    mods = []
    for a, b in zip(dims[:-1], dims[1:]):
        mods += [nn.Linear(a, b), nn.Sigmoid()]
    return nn.Sequential(*mods)


class VAE(nn.Module):
    def __init__(self, latent=8):
        super().__init__()
        self.enc = tower(64, 64, 64, 64, 64, 64)
        self.mu = nn.Linear(64, latent)
        self.logvar = nn.Linear(64, latent)
        self.dec = tower(latent, 64, 64, 64, 64, 64)
        self.out = nn.Linear(64, 64)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        return mu + torch.randn_like(std) * std

    def forward(self, x):
        h = self.enc(x)
        mu, logvar = self.mu(h), self.logvar(h)
        recon = self.out(self.dec(self.reparameterize(mu, logvar)))
        return recon, mu, logvar


def loss(output, x):
    recon, mu, logvar = output
    bce = F.binary_cross_entropy_with_logits(recon, x, reduction="sum") / len(x)
    kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp()) / len(x)
    return bce + 0.2 * kld


X = torch.tensor(load_digits().data / 16).float()


def batch():
    x = X[torch.randint(len(X), (100,))]
    return x, x


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
