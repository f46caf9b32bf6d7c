import torch
from torch import nn


class Koopman(nn.Module):
    def __init__(self, latent=6):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(2, 48), nn.Tanh(), nn.Linear(48, latent))
        self.K = nn.Linear(latent, latent, bias=False)
        nn.init.eye_(self.K.weight)
        self.dec = nn.Sequential(nn.Linear(latent, 48), nn.Tanh(), nn.Linear(48, 2))

    def forward(self, x):
        z = self.enc(x)
        steps = [self.dec(z)]
        for _ in range(5):
            z = self.K(z)
            steps.append(self.dec(z))
        return torch.stack(steps, 1)


def batch(n=128):
    x = torch.randn(n, 2)
    path = [x]
    for _ in range(5):
        q, p = path[-1].unbind(1)
        path.append(torch.stack([q + 0.2 * p, p - 0.2 * torch.sin(q)], 1))
    return x, torch.stack(path, 1)


def loss(out, path):
    return (out - path).abs().mean()


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=3e-3)
