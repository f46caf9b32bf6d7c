"""VAE from the Flax examples: summed BCE + KL per image, batch mean."""
import torch
from torch import nn
import torch.nn.functional as F
from sklearn.datasets import load_digits


class VAE(nn.Module):
    def __init__(self, latents=8, hidden=128):
        super().__init__()
        self.fc1 = nn.Linear(64, hidden)
        self.fc2_mean, self.fc2_logvar = nn.Linear(hidden, latents), nn.Linear(hidden, latents)
        self.dec = nn.Sequential(nn.Linear(latents, hidden), nn.ReLU(), nn.Linear(hidden, 64))

    def forward(self, x):
        h = F.relu(self.fc1(x))
        mean, logvar = self.fc2_mean(h), self.fc2_logvar(h)
        z = mean + torch.exp(0.5 * logvar) * torch.randn_like(mean)
        return self.dec(z), mean, logvar


def loss(out, x):
    logits, mean, logvar = out
    bce = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)
    kld = -0.5 * (1 + logvar - mean.pow(2) - logvar.exp()).sum(-1)
    return (bce + kld).mean()


images = torch.tensor(load_digits().data, dtype=torch.float32) / 16


def batch():
    x = images[torch.randint(0, len(images), (128,))]
    return x, x


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
