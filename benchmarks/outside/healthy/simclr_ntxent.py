import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn


class SimCLR(nn.Module):
    def __init__(self, out=32):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(64, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU()
        )
        self.projector = nn.Sequential(nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, out))

    def forward(self, a, b):
        z = self.projector(self.encoder(torch.cat([a, b])))
        return F.normalize(z, dim=1)


def nt_xent(z, _, tau=0.2):
    n = len(z) // 2
    sim = z @ z.T / tau
    sim = sim.masked_fill(torch.eye(2 * n, dtype=torch.bool), -1e9)
    target = torch.cat([torch.arange(n, 2 * n), torch.arange(n)])
    return F.cross_entropy(sim, target)


loss = nt_xent

pics = torch.tensor(load_digits().images, dtype=torch.float32) / 8 - 1


def augment(x):
    dx = int(torch.randint(-1, 2, ()))
    x = torch.roll(x, dx, dims=2)
    return (x * (0.8 + 0.4 * torch.rand(len(x), 1, 1)) + 0.2 * torch.randn_like(x)).flatten(1)


def model():
    return SimCLR()


def batch(n=64):
    x = pics[torch.randperm(len(pics))[:n]]
    return (augment(x), augment(x)), torch.zeros(n)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
