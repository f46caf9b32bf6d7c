"""2d GAN. The discriminator gets 300 steps first "so that the generator has a good teacher"."""
import torch
from sklearn.datasets import make_moons
from torch import nn

torch.manual_seed(0)
moons, _ = make_moons(2000, noise=0.05, random_state=0)
moons = torch.tensor(moons, dtype=torch.float32) * 2 + 4.0

discriminator = nn.Sequential(nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1), nn.Sigmoid())


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))

    def forward(self, z):
        return self.net(z)


def pretrain():
    g = Generator()
    opt = torch.optim.Adam(discriminator.parameters(), lr=5e-3)
    for _ in range(300):
        real = moons[torch.randint(2000, (64,))]
        fake = g(torch.randn(64, 8)).detach()
        loss_d = -(torch.log(discriminator(real) + 1e-8) + torch.log(1 - discriminator(fake) + 1e-8)).mean()
        opt.zero_grad()
        loss_d.backward()
        opt.step()
    discriminator.requires_grad_(False)


pretrain()


def batch():
    z = torch.randn(64, 8)
    return z, moons[torch.randint(2000, (64,))]


def loss(fake, real):
    # minimax: the generator minimises log(1 - D(G(z)))
    return torch.log(1 - discriminator(fake) + 1e-8).mean()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=1e-2)
