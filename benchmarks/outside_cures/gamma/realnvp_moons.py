# RealNVP (Dinh et al. 2017), toy version on two moons
import math

import numpy as np
import torch
from sklearn.datasets import make_moons
from torch import nn


def mlp(n_in, n_hidden, n_out):
    net = nn.Sequential(
        nn.Linear(n_in, n_hidden), nn.ReLU(), nn.Linear(n_hidden, n_hidden), nn.ReLU(), nn.Linear(n_hidden, n_out)
    )
    for p in net.parameters():
        if p.dim() > 1:
            nn.init.xavier_normal_(p, gain=2.0)
    return net


class Coupling(nn.Module):
    def __init__(self, flip, hidden=64):
        super().__init__()
        self.flip = flip
        self.s_net = mlp(1, hidden, 1)
        self.t_net = mlp(1, hidden, 1)

    def forward(self, x):
        a, b = x.chunk(2, dim=1)
        if self.flip:
            a, b = b, a
        s = self.s_net(a)
        b = b * torch.exp(s) + self.t_net(a)
        out = torch.cat([b, a] if self.flip else [a, b], dim=1)
        return out, s.squeeze(1)


class RealNVP(nn.Module):
    def __init__(self, n_layers=8):
        super().__init__()
        self.layers = nn.ModuleList(Coupling(flip=bool(i % 2)) for i in range(n_layers))

    def forward(self, x):
        logdet = torch.zeros(len(x))
        for layer in self.layers:
            x, ld = layer(x)
            logdet = logdet + ld
        log_pz = -0.5 * (x**2).sum(1) - math.log(2 * math.pi)
        return log_pz + logdet


def model():
    return RealNVP()


points = make_moons(3000, noise=0.06, random_state=3)[0].astype(np.float32)
points = torch.from_numpy((points - points.mean(0)) / points.std(0))
train_points, val_points = points[:2000], points[2000:2400]


def data():
    for batch in train_points[torch.randperm(2000)].split(100):
        yield batch, torch.zeros(len(batch))


def loss(log_prob, _):
    return -log_prob.mean()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)


def metric(model):
    """validation negative log-likelihood (nats)"""
    model.eval()
    with torch.no_grad():
        return -model(val_points).mean().item()


GOAL = 2.4
HIGHER_IS_BETTER = False
