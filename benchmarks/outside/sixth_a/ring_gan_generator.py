import math
import torch
from torch import nn
import torch.nn.functional as F


def real(n):
    a = 2 * math.pi * torch.rand(n, 1)
    return torch.cat([4 + 0.5 * torch.cos(a), 4 + 0.5 * torch.sin(a)], 1) + 0.05 * torch.randn(n, 2)


class GAN(nn.Module):
    """The generator phase: D is trained first, then held."""

    def __init__(self, zdim=8, d_steps=250):
        super().__init__()
        self.zdim = zdim
        self.G = nn.Sequential(nn.Linear(zdim, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
        self.D = nn.Sequential(nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1), nn.Sigmoid())
        opt = torch.optim.Adam(self.D.parameters(), lr=5e-3)
        for _ in range(d_steps):
            with torch.no_grad():
                fake = self.G(torch.randn(64, zdim))
            err = F.binary_cross_entropy(self.D(real(64)), torch.ones(64, 1)) + F.binary_cross_entropy(self.D(fake), torch.zeros(64, 1))
            opt.zero_grad()
            err.backward()
            opt.step()
        self.D.requires_grad_(False)

    def forward(self, z):
        return self.D(self.G(z))


def batch():
    return torch.randn(128, 8), torch.ones(128, 1)


def loss(d_fake, _):
    return torch.log(1 - d_fake + 1e-8).mean()


def optimizer(model):
    return torch.optim.SGD(model.G.parameters(), lr=0.01, momentum=0.9)
