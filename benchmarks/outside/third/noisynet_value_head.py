import torch
import torch.nn.functional as F
from torch import nn


class NoisyLinear(nn.Module):
    def __init__(self, i, o, sigma0=0.5):
        super().__init__()
        b = i**-0.5
        self.mu_w = nn.Parameter(torch.empty(o, i).uniform_(-b, b))
        self.mu_b = nn.Parameter(torch.empty(o).uniform_(-b, b))
        self.sigma_w = nn.Parameter(torch.full((o, i), sigma0 * b))
        self.sigma_b = nn.Parameter(torch.full((o,), sigma0 * b))

    @staticmethod
    def f(n):
        e = torch.randn(n)
        return e.sign() * e.abs().sqrt()

    def forward(self, x):
        ei, eo = self.f(self.mu_w.shape[1]), self.f(self.mu_w.shape[0])
        return F.linear(x, self.mu_w + self.sigma_w * torch.outer(eo, ei), self.mu_b + self.sigma_b * eo)


class NoisyNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.inp = nn.Linear(5, 48)
        self.h = NoisyLinear(48, 48)
        self.q = NoisyLinear(48, 3)

    def forward(self, s, a):
        x = F.relu(self.inp(s))
        x = F.relu(self.h(x))
        return self.q(x).gather(1, a[:, None]).squeeze(1)


criterion = nn.HuberLoss()
W = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))


def batch():
    s, a = torch.randn(96, 5), torch.randint(0, 3, (96,))
    return (s, a), torch.tanh(s @ W).gather(1, a[:, None]).squeeze(1)


def optimizer(net):
    return torch.optim.Adam(net.parameters(), lr=1e-3)
