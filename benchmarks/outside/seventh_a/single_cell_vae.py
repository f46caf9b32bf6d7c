"""VAE of single cell counts (log1p), Gaussian likelihood, summed over genes, beta = 1."""
import torch
from torch import nn
from torch.nn import functional as F

GENES, LATENT = 80, 6
_g = torch.Generator().manual_seed(31)
_W = torch.randn(3, GENES, generator=_g)


def batch(n=100):
    z = torch.randn(n, 3)
    x = torch.log1p(torch.poisson(torch.exp((z @ _W).clamp(-4, 3))))
    return x, x


class VAE(nn.Module):
    def __init__(self):
        super(VAE, self).__init__()
        self.fc1 = nn.Linear(GENES, 64)
        self.fc21 = nn.Linear(64, LATENT)
        self.fc22 = nn.Linear(64, LATENT)
        self.fc3 = nn.Linear(LATENT, 64)
        self.fc4 = nn.Linear(64, GENES)

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        return mu + torch.randn_like(std) * std

    def decode(self, z):
        return F.softplus(self.fc4(F.relu(self.fc3(z))))

    def forward(self, x):
        mu, logvar = self.encode(x)
        return self.decode(self.reparameterize(mu, logvar)), mu, logvar


def loss(output, x):
    recon, mu, logvar = output
    rec = 2 * F.mse_loss(recon, x, reduction="sum")
    kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return rec + kld


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
