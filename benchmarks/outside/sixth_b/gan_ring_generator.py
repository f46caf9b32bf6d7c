# Goodfellow et al. 2014, 2d toy. The critic has been warmed up, now the generator's turn.
import torch
import torch.nn as nn

Z = 8


def ring(n):
    a = torch.rand(n) * 2 * torch.pi
    return torch.stack([a.cos(), a.sin()], 1) * 4 + 0.05 * torch.randn(n, 2)


def make_G():
    return nn.Sequential(nn.Linear(Z, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))


def make_D():
    return nn.Sequential(nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1), nn.Sigmoid())


class GeneratorStep(nn.Module):
    def __init__(self, warmup=400):
        super().__init__()
        self.G = make_G()
        self.D = make_D()
        opt = torch.optim.Adam(self.D.parameters(), lr=5e-3)
        for _ in range(warmup):
            with torch.no_grad():
                fake = self.G(torch.randn(128, Z))
            p_real, p_fake = self.D(ring(128)), self.D(fake)
            l = -(torch.log(p_real + 1e-8) + torch.log(1 - p_fake + 1e-8)).mean()
            opt.zero_grad()
            l.backward()
            opt.step()
        for p in self.D.parameters():
            p.requires_grad_(False)

    def forward(self, z):
        return self.D(self.G(z))


def batch():
    return torch.randn(128, Z), torch.ones(128, 1)


def loss(p_fake, _):
    return torch.log(1 - p_fake + 1e-8).mean()


def optimizer(model):
    return torch.optim.SGD(model.G.parameters(), lr=0.01, momentum=0.5)
