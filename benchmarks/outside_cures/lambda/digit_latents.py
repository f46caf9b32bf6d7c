# Generative models, exercise sheet 5, task 2: VAE on the 8x8 digits
# (group 7)
import torch
from torch import nn
from torch.nn import functional as F
from sklearn.datasets import load_digits

pixels = torch.tensor(load_digits().data, dtype=torch.float32) / 16.0
shuffled = pixels[torch.randperm(len(pixels), generator=torch.Generator().manual_seed(1))]
train_set, test_set = shuffled[:1400], shuffled[1400:]


class Encoder(nn.Module):
    def __init__(self, latent):
        super().__init__()
        self.fc1 = nn.Linear(64, 128)
        self.fc_mu = nn.Linear(128, latent)
        self.fc_logvar = nn.Linear(128, latent)

    def forward(self, x):
        h = F.relu(self.fc1(x))
        return self.fc_mu(h), self.fc_logvar(h)


class Decoder(nn.Module):
    def __init__(self, latent):
        super().__init__()
        self.fc1 = nn.Linear(latent, 128)
        self.fc2 = nn.Linear(128, 64)

    def forward(self, z):
        return torch.sigmoid(self.fc2(F.relu(self.fc1(z))))


class VAE(nn.Module):
    def __init__(self, latent=12):
        super().__init__()
        self.encoder = Encoder(latent)
        self.decoder = Decoder(latent)

    def reparametrize(self, mu, logvar):
        if not self.training:
            return mu
        return mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)

    def forward(self, x):
        mu, logvar = self.encoder(x)
        z = self.reparametrize(mu, logvar)
        return self.decoder(z), mu, logvar


class ELBO(nn.Module):
    """negative ELBO = reconstruction + KL(q(z|x) || N(0, I))"""

    def forward(self, output, x):
        recon, mu, logvar = output
        reconstruction = F.mse_loss(recon, x)
        kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp(), dim=1).mean()
        return reconstruction + kl


def model():
    return VAE()


def data():
    for batch in train_set[torch.randperm(len(train_set))].split(70):
        yield batch, batch


loss = ELBO()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
