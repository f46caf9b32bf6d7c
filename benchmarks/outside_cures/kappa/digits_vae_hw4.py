# Homework 4 - variational autoencoder on the sklearn digits
# (question I posted: "why does my VAE draw the same blurry blob for every input?")
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

digits = load_digits()
images = torch.tensor(digits.data / 16.0, dtype=torch.float32)
perm = torch.randperm(len(images), generator=torch.Generator().manual_seed(4))
train_x = images[perm[:1400]]
test_x = images[perm[1400:]]

Z = 12


class VAE(nn.Module):
    def __init__(self):
        super(VAE, self).__init__()
        self.fc1 = nn.Linear(64, 128)
        self.fc21 = nn.Linear(128, Z)
        self.fc22 = nn.Linear(128, Z)
        self.fc3 = nn.Linear(Z, 128)
        self.fc4 = nn.Linear(128, 64)

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        eps = torch.randn_like(std)
        return mu + eps * std

    def decode(self, z):
        h3 = F.relu(self.fc3(z))
        return torch.sigmoid(self.fc4(h3))

    def forward(self, x):
        mu, logvar = self.encode(x)
        z = self.reparameterize(mu, logvar)
        return self.decode(z), mu, logvar


def loss(output, x):
    recon_x, mu, logvar = output
    BCE = F.binary_cross_entropy(recon_x, x)
    # see Appendix B from VAE paper: 0.5 * sum(1 + log(sigma^2) - mu^2 - sigma^2)
    KLD = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return BCE + KLD


def model():
    return VAE()


def data():
    for idx in torch.randperm(len(train_x)).split(100):
        yield train_x[idx], train_x[idx]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
