"""Critic step of WGAN-GP on the 8-gaussians ring; the gradient penalty needs double backward."""

import math

import torch
from torch import nn


class CriticStep(nn.Module):
    def __init__(self, h=128, lam=10.0):
        super().__init__()
        self.critic = nn.Sequential(
            nn.Linear(2, h),
            nn.ReLU(),
            nn.Linear(h, h),
            nn.ReLU(),
            nn.Linear(h, h),
            nn.ReLU(),
            nn.Linear(h, 1),
        )
        self.lam = lam

    def penalty(self, real, fake):
        eps = torch.rand(real.size(0), 1)
        mid = (eps * real + (1 - eps) * fake).requires_grad_(True)
        score = self.critic(mid)
        grad = torch.autograd.grad(score, mid, torch.ones_like(score), create_graph=True)[0]
        return self.lam * ((grad.norm(2, dim=1) - 1) ** 2).mean()

    def forward(self, real, fake):
        return self.critic(fake).mean() - self.critic(real).mean() + self.penalty(real, fake)


def ring(n):
    k = torch.randint(8, (n,)) * (2 * math.pi / 8)
    return 2 * torch.stack([k.cos(), k.sin()], 1) + 0.05 * torch.randn(n, 2)


def model():
    return CriticStep()


def batch(n=256):
    fake = torch.randn(n, 2) * 0.5
    return (ring(n), fake), torch.zeros(())


def loss(output, target):
    return output


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3, betas=(0.0, 0.9))
