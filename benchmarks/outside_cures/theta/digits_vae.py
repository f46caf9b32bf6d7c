"""Homework 4: variational autoencoder on the 8x8 digits.

encoder -> (mu, logvar) -> z -> decoder -> pixel probabilities
"""
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

digits = torch.tensor(load_digits().images / 16.0, dtype=torch.float32).reshape(-1, 64)
train_x = digits[:1500]
test_x = digits[1500:]


class VAE(nn.Module):
    def __init__(self, latent=8):
        super(VAE, self).__init__()
        self.fc1 = nn.Linear(64, 128)
        self.fc_mu = nn.Linear(128, latent)
        self.fc_logvar = nn.Linear(128, latent)
        self.fc3 = nn.Linear(latent, 128)
        self.fc4 = nn.Linear(128, 64)

    def encode(self, x):
        h = F.relu(self.fc1(x))
        return self.fc_mu(h), self.fc_logvar(h)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        return mu + std * torch.randn_like(std)

    def decode(self, z):
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z))))

    def forward(self, x):
        mu, logvar = self.encode(x)
        z = self.reparameterize(mu, logvar)
        return self.decode(z), mu, logvar


def loss(output, x):
    recon, mu, logvar = output
    # reconstruction
    bce = F.binary_cross_entropy(recon, x)
    # KL(q(z|x) || N(0, 1)), see the lecture notes, eq. (10)
    kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp(), dim=1).mean()
    return bce + kld


def model():
    return VAE()


def data():
    for idx in torch.randperm(len(train_x)).split(100):
        x = train_x[idx]
        yield x, x


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
