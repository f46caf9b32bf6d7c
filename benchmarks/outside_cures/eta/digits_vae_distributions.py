"""VAE on the 8x8 digits, written with torch.distributions (cleaner than the log-var algebra)."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch.distributions import Normal, kl_divergence

_all = torch.tensor(load_digits().data, dtype=torch.float32) / 16
_perm = torch.randperm(len(_all), generator=torch.Generator().manual_seed(0))
x_train, x_test = _all[_perm[:1400]], _all[_perm[1400:]]


class VAE(nn.Module):
    def __init__(self, latent=8, hidden=128):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, hidden), nn.SiLU(), nn.Linear(hidden, 2 * latent))
        self.decoder = nn.Sequential(nn.Linear(latent, hidden), nn.SiLU(), nn.Linear(hidden, 64))

    def posterior(self, x):
        mu, raw = self.encoder(x).chunk(2, dim=-1)
        return Normal(mu, F.softplus(raw) + 1e-3)

    def forward(self, x):
        q = self.posterior(x)
        z = q.sample() if self.training else q.mean
        kl = kl_divergence(q, Normal(torch.zeros_like(q.loc), torch.ones_like(q.scale))).sum(-1)
        return self.decoder(z), kl


def model():
    return VAE()


def data():
    for i in torch.randperm(len(x_train)).split(100):
        yield x_train[i], x_train[i]


def loss(out, x):
    logits, kl = out
    rec = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)
    return (rec + kl).mean()  # negative ELBO


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
