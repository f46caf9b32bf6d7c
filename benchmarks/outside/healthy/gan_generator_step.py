# generator half step, non-saturating loss; D was trained for a bit before (and is frozen here)
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

Z = 24
real = torch.tensor(load_digits().data / 8 - 1, dtype=torch.float32)


def make_d():
    return nn.Sequential(
        nn.Linear(64, 128),
        nn.LeakyReLU(0.2),
        nn.Linear(128, 64),
        nn.LeakyReLU(0.2),
        nn.Linear(64, 1),
    )


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(Z, 128, bias=False),
            nn.BatchNorm1d(128),
            nn.ReLU(True),
            nn.Linear(128, 128, bias=False),
            nn.BatchNorm1d(128),
            nn.ReLU(True),
            nn.Linear(128, 64),
            nn.Tanh(),
        )

    def forward(self, z):
        return self.net(z)


def warm_discriminator(steps=40):
    torch.manual_seed(5)
    d, g = make_d(), Generator()
    opt = torch.optim.Adam(d.parameters(), 2e-4, betas=(0.5, 0.999))
    for _ in range(steps):
        x = real[torch.randint(len(real), (64,))]
        y = g(torch.randn(64, Z)).detach()
        loss_d = F.softplus(-d(x)).mean() + F.softplus(d(y)).mean()
        opt.zero_grad()
        loss_d.backward()
        opt.step()
    return d.requires_grad_(False)


class GeneratorStep(nn.Module):
    def __init__(self):
        super().__init__()
        self.g = Generator()
        self.d = warm_discriminator()

    def forward(self, z):
        return self.d(self.g(z))


def model():
    return GeneratorStep()


def batch():
    return torch.randn(64, Z), torch.ones(64, 1)


loss = nn.BCEWithLogitsLoss()


def optimizer(model):
    return torch.optim.Adam(model.g.parameters(), lr=2e-4, betas=(0.5, 0.999))
