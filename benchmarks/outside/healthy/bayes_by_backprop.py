"""Weight uncertainty: mean and rho for every weight, local reparametrisation, small KL weight."""

import torch
import torch.nn.functional as F
from torch import nn


class BayesLinear(nn.Module):
    def __init__(self, i, o, prior=1.0):
        super().__init__()
        self.mu = nn.Parameter(torch.randn(o, i) / i**0.5)
        self.rho = nn.Parameter(torch.full((o, i), -4.0))
        self.bias = nn.Parameter(torch.zeros(o))
        self.prior = prior

    def forward(self, x):
        sigma2 = F.softplus(self.rho) ** 2
        mean, var = F.linear(x, self.mu, self.bias), F.linear(x**2, sigma2)
        return mean + (var + 1e-8).sqrt() * torch.randn_like(mean)

    def kl(self):
        s = F.softplus(self.rho)
        return (0.5 * (s**2 + self.mu**2) / self.prior**2 - s.log() - 0.5).sum()


class BNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1, self.l2, self.l3 = BayesLinear(1, 48), BayesLinear(48, 48), BayesLinear(48, 1)

    def forward(self, x):
        y = self.l3(torch.relu(self.l2(torch.relu(self.l1(x)))))
        return y, self.l1.kl() + self.l2.kl() + self.l3.kl()


def loss(output, target, n_data=20000, noise=0.2):
    y, kl = output
    return 0.5 * ((y - target) / noise).pow(2).mean() + kl / n_data


def batch(n=128):
    x = torch.rand(n, 1) * 4 - 2
    return x, torch.sin(2 * x) + 0.3 * x + 0.2 * torch.randn(n, 1)


def model():
    return BNN()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
