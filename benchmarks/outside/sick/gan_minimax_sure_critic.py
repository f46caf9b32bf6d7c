import torch
from torch import nn


class GeneratorStep(nn.Module):
    """One side of the game: generator followed by the current discriminator."""

    def __init__(self, z=8, d=2):
        super().__init__()
        self.generator = nn.Sequential(nn.Linear(z, 32), nn.ReLU(), nn.Linear(32, d))
        self.critic = nn.Sequential(nn.Linear(d, 16), nn.Tanh(), nn.Linear(16, 1))
        fit_discriminator(self.generator, self.critic)
        self.critic.requires_grad_(False)

    def forward(self, z):
        return torch.sigmoid(self.critic(self.generator(z)))


def real(n):
    return torch.randn(n, 2) * 0.2 + torch.tensor([4.0, 4.0])


def fit_discriminator(gen, disc, k=400):
    opt = torch.optim.Adam(disc.parameters(), lr=5e-2)
    bce = nn.BCEWithLogitsLoss()
    for _ in range(k):
        fake = gen(torch.randn(64, 8)).detach()
        loss = bce(disc(real(64)), torch.ones(64, 1)) + bce(disc(fake), torch.zeros(64, 1))
        opt.zero_grad()
        loss.backward()
        opt.step()


def batch():
    return torch.randn(64, 8), torch.zeros(64)


def loss(p_fake, _):
    return torch.log(1 - p_fake).mean()


def optimizer(model):
    return torch.optim.SGD(model.generator.parameters(), lr=0.01)
