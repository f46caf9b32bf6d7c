# VAE on 8x8 digits, after the tutorial but with torch.distributions
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch.distributions import Normal, kl_divergence


class Encoder(nn.Module):
    def __init__(self, latent):
        super().__init__()
        self.fc1 = nn.Linear(64, 128)
        self.mu = nn.Linear(128, latent)
        self.logvar = nn.Linear(128, latent)

    def forward(self, x):
        h = F.relu(self.fc1(x))
        return Normal(self.mu(h), torch.exp(0.5 * self.logvar(h)))


class Decoder(nn.Module):
    def __init__(self, latent):
        super().__init__()
        self.fc1 = nn.Linear(latent, 128)
        self.fc2 = nn.Linear(128, 64)

    def forward(self, z):
        return self.fc2(F.relu(self.fc1(z)))


class VAE(nn.Module):
    def __init__(self, latent=8):
        super().__init__()
        self.encoder = Encoder(latent)
        self.decoder = Decoder(latent)

    def forward(self, x):
        q = self.encoder(x)
        z = q.sample() if self.training else q.mean
        prior = Normal(torch.zeros_like(z), torch.ones_like(z))
        kl = kl_divergence(q, prior).sum(-1)
        return self.decoder(z), kl


def model():
    return VAE(latent=8)


images = torch.tensor(load_digits().data, dtype=torch.float32) / 16.0
train_set = images[:1400]


def data():
    for idx in torch.randperm(len(train_set)).split(100):
        yield train_set[idx], train_set[idx]


def loss(output, target):
    logits, kl = output
    bce = F.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(-1)
    return (bce + kl).mean()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)


def metric(model):
    """reconstruction error (MSE) on validation digits"""
    x = images[1400:1550]
    model.eval()
    with torch.no_grad():
        logits, _ = model(x)
    return F.mse_loss(torch.sigmoid(logits), x).item()


HIGHER_IS_BETTER = False
