# Bishop's inverse problem, 5 Gaussians, log-sum-exp likelihood
import math

import torch
import torch.nn as nn


class MDN(nn.Module):
    def __init__(self, hidden=32, k=5):
        super().__init__()
        self.z_h = nn.Sequential(nn.Linear(1, hidden), nn.Tanh())
        self.z_pi = nn.Linear(hidden, k)
        self.z_mu = nn.Linear(hidden, k)
        self.z_sigma = nn.Linear(hidden, k)

    def forward(self, x):
        h = self.z_h(x)
        return torch.log_softmax(self.z_pi(h), -1), torch.exp(self.z_sigma(h)), self.z_mu(h)


def mdn_loss(out, y):
    log_pi, sigma, mu = out
    log_n = -0.5 * ((y - mu) / sigma) ** 2 - sigma.log() - 0.5 * math.log(2 * math.pi)
    return -torch.logsumexp(log_pi + log_n, dim=1).mean()


loss = mdn_loss


def batch(n=300):
    t = torch.rand(n, 1)
    x = t + 0.3 * torch.sin(2 * math.pi * t) + 0.05 * (2 * torch.rand(n, 1) - 1)
    return 4 * x - 2, 4 * t - 2


def model():
    return MDN()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)
