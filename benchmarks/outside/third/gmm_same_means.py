"""Fit a Gaussian mixture by gradient descent (no EM)."""
import math

import torch
from sklearn.datasets import load_iris
from torch import nn

IRIS = torch.tensor(load_iris().data, dtype=torch.float32)
IRIS = (IRIS - IRIS.mean(0)) / IRIS.std(0)


class GMM(nn.Module):
    def __init__(self, k=3, d=4):
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(k))
        self.means = nn.Parameter(torch.zeros(k, d))
        self.log_std = nn.Parameter(torch.zeros(k, d))

    def forward(self, x):
        z = (x[:, None] - self.means) / self.log_std.exp()
        log_n = -0.5 * z.pow(2).sum(-1) - self.log_std.sum(-1) - 2 * math.log(2 * math.pi)
        return -torch.logsumexp(log_n + self.logits.log_softmax(0), 1)


def batch():
    rows = IRIS[torch.randint(0, 150, (100,))]
    return rows, torch.zeros(100)


def loss(nll, _):
    return nll.mean()


def optimizer(gmm):
    return torch.optim.Adam(gmm.parameters(), lr=0.02)


if __name__ == "__main__":
    gmm = GMM()
    opt = optimizer(gmm)
    for step in range(500):
        x, _ = batch()
        opt.zero_grad()
        value = loss(gmm(x), None)
        value.backward()
        opt.step()
    print(value.item(), gmm.means)
