"""Critic of the spectral-norm GAN, warm-up on a fixed generator (chainer port)."""
import torch
import torch.nn as nn
from torch.nn.utils.parametrizations import spectral_norm as sn


def make_critic(c=16):
    return nn.Sequential(
        sn(nn.Conv2d(1, c, 3, 1, 1)), nn.LeakyReLU(0.1), sn(nn.Conv2d(c, c, 4, 2, 1)), nn.LeakyReLU(0.1),
        sn(nn.Conv2d(c, 2 * c, 3, 1, 1)), nn.LeakyReLU(0.1), sn(nn.Conv2d(2 * c, 2 * c, 4, 2, 1)), nn.LeakyReLU(0.1),
        nn.Flatten(), sn(nn.Linear(2 * c * 9, 1)),
    )


def real(n, s=12):
    yy, xx = torch.meshgrid(torch.arange(s), torch.arange(s), indexing="ij")
    c = torch.rand(2, n, 1, 1) * 6 + 3
    return (2 * torch.exp(-((yy - c[0]) ** 2 + (xx - c[1]) ** 2) / 6) - 1)[:, None]


def fake(n, s=12):
    return torch.tanh(nn.functional.interpolate(torch.randn(n, 1, 4, 4), size=(s, s), mode="bilinear"))


def batch(n=32):
    return torch.cat([real(n), fake(n)]), torch.cat([torch.ones(n, 1), -torch.ones(n, 1)])


def loss(score, sign):
    return torch.relu(1 - sign * score).mean()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=4e-4, betas=(0.0, 0.9))
