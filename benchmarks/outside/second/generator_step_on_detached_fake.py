"""Generator step of a 1-d GAN against a critic that has been fitted already (it is quadratic)."""

import torch
from torch import nn


class GAN(nn.Module):
    def __init__(self):
        super().__init__()
        self.generator = nn.Sequential(nn.Linear(4, 32), nn.LeakyReLU(0.2), nn.Linear(32, 2))
        self.discriminator = nn.Sequential(nn.Linear(4, 1))
        with torch.no_grad():  # log-density of a blob at (3, -2), up to a constant
            self.discriminator[0].weight.copy_(torch.tensor([[3.0, -2.0, -0.5, -0.5]]))
            self.discriminator[0].bias.fill_(-4.0)

    def forward(self, z):
        fake = self.generator(z)
        fake = fake.detach()
        return self.discriminator(torch.cat([fake, fake**2], dim=1))


def batch(n=64):
    return torch.randn(n, 4), torch.ones(n, 1)


def loss(verdict, real):
    return nn.functional.binary_cross_entropy_with_logits(verdict, real)


def optimizer(gan):
    return torch.optim.Adam(gan.generator.parameters(), lr=2e-3, betas=(0.5, 0.999))
