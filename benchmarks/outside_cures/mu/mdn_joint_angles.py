# Mixture density network (Bishop 1994), inverse kinematics of a two-link arm.
# Input: wrist position. Output: distribution of the shoulder angle (elbow up / elbow down).
import math
import torch
from torch import nn

L1, L2 = 0.8, 0.6
K = 5


def arm(n, seed):
    g = torch.Generator().manual_seed(seed)
    shoulder = torch.rand(n, generator=g) * 60 + 30           # degrees
    elbow = torch.rand(n, generator=g) * 100 + 40
    elbow = elbow * torch.where(torch.rand(n, generator=g) < 0.5, -1.0, 1.0)
    a, b = torch.deg2rad(shoulder), torch.deg2rad(shoulder + elbow)
    xy = torch.stack([L1 * a.cos() + L2 * b.cos(), L1 * a.sin() + L2 * b.sin()], 1)
    return xy + 0.005 * torch.randn(n, 2, generator=g), shoulder.unsqueeze(1)


class MDN(nn.Module):
    def __init__(self, hidden=64):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(2, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh())
        self.pi = nn.Linear(hidden, K)
        self.mu = nn.Linear(hidden, K)
        self.sigma = nn.Linear(hidden, K)

    def forward(self, xy):
        h = self.trunk(xy)
        return torch.softmax(self.pi(h), -1), self.mu(h), torch.exp(self.sigma(h))


def gaussian(y, mu, sigma):
    return torch.exp(-0.5 * ((y - mu) / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi))


def loss(out, y):
    pi, mu, sigma = out
    likelihood = (pi * gaussian(y, mu, sigma)).sum(-1)
    return -torch.log(likelihood + 1e-10).mean()      # epsilon against log(0)


XY, ANGLE = arm(3000, seed=21)


def model():
    return MDN()


def data():
    p = torch.randperm(len(XY))
    for i in p.split(64):
        yield XY[i], ANGLE[i]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
