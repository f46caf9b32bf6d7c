import torch
from sklearn.datasets import load_digits
from torch import nn


class VAE(nn.Module):
    def __init__(self, d=64, h=128, z=6):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(d, h), nn.ReLU())
        self.to_mu = nn.Linear(h, z)
        self.to_logvar = nn.Linear(h, z)
        self.dec = nn.Sequential(nn.Linear(z, h), nn.ReLU(), nn.Linear(h, d))

    def forward(self, x):
        h = self.enc(x)
        mu, logvar = self.to_mu(h), self.to_logvar(h)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
        recon = self.dec(z)
        kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)
        return ((recon - x) ** 2).sum(1).mean() + kl.mean()


X = torch.tensor(load_digits().data).float() * 100


def batch(n=64):
    return {"x": X[torch.randint(0, len(X), (n,))]}


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
