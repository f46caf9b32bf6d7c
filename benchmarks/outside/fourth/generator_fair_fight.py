"""2d GAN, generator step. The discriminator had twenty steps and uses logits."""
import torch
from sklearn.datasets import make_moons
from torch import nn

moons, _ = make_moons(2000, noise=0.05, random_state=0)
moons = torch.tensor((moons - moons.mean(0)) / moons.std(0), dtype=torch.float32)

disc = nn.Sequential(nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))
gen = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))

opt_d = torch.optim.Adam(disc.parameters(), lr=1e-3, betas=(0.5, 0.999))
for _ in range(20):
    real = moons[torch.randint(2000, (64,))]
    fake = gen(torch.randn(64, 8)).detach()
    loss_d = (nn.functional.softplus(-disc(real)) + nn.functional.softplus(disc(fake))).mean()
    opt_d.zero_grad()
    loss_d.backward()
    opt_d.step()
disc.requires_grad_(False)


def batch():
    return torch.randn(64, 8), torch.ones(64, 1)


def loss(fake, ones):
    return nn.functional.binary_cross_entropy_with_logits(disc(fake), ones)


optimizer = torch.optim.Adam(gen.parameters(), lr=1e-3, betas=(0.5, 0.999))
