"""One discriminator step of a GAN with hinge loss; the generator is only sampled from."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

REAL = torch.tensor(load_digits().images, dtype=torch.float32).unsqueeze(1) / 8 - 1

generator = nn.Sequential(
    nn.Linear(16, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Linear(128, 64), nn.Tanh()
)


class Critic(nn.Module):
    def __init__(self, c=32):
        super().__init__()
        self.main = nn.Sequential(
            spectral_norm(nn.Conv2d(1, c, 3, padding=1)),
            nn.LeakyReLU(0.2, inplace=True),
            spectral_norm(nn.Conv2d(c, 2 * c, 4, 2, 1)),
            nn.LeakyReLU(0.2, inplace=True),
            spectral_norm(nn.Conv2d(2 * c, 4 * c, 4, 2, 1)),
            nn.LeakyReLU(0.2, inplace=True),
        )
        self.score = spectral_norm(nn.Linear(4 * c, 1))

    def forward(self, x):
        return self.score(self.main(x).sum((2, 3))).flatten()


def model():
    return Critic()


def batch(n=32):
    with torch.no_grad():
        fake = generator(torch.randn(n, 16)).view(n, 1, 8, 8)
    real = REAL[torch.randint(0, len(REAL), (n,))]
    return torch.cat([real, fake]), torch.cat([torch.ones(n), -torch.ones(n)])


def loss(output, target):
    return torch.relu(1 - target * output).mean()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-4, betas=(0.0, 0.9))
