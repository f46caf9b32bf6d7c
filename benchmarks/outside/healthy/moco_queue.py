"""MoCo: momentum key encoder and a queue of negatives kept as a buffer."""

import copy

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F


class MoCo(nn.Module):
    def __init__(self, dim=32, K=512, m=0.99, T=0.2):
        super().__init__()
        self.K, self.m, self.T = K, m, T
        self.encoder_q = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, dim))
        self.encoder_k = copy.deepcopy(self.encoder_q)
        for p in self.encoder_k.parameters():
            p.requires_grad = False
        self.register_buffer("queue", F.normalize(torch.randn(dim, K), dim=0))
        self.register_buffer("ptr", torch.zeros(1, dtype=torch.long))

    @torch.no_grad()
    def _keys(self, im_k):
        for q, k in zip(self.encoder_q.parameters(), self.encoder_k.parameters()):
            k.data = k.data * self.m + q.data * (1.0 - self.m)
        return F.normalize(self.encoder_k(im_k), dim=1)

    def forward(self, im_q, im_k):
        q = F.normalize(self.encoder_q(im_q), dim=1)
        k = self._keys(im_k)
        l_pos = (q * k).sum(1, keepdim=True)
        logits = torch.cat([l_pos, q @ self.queue.clone().detach()], 1) / self.T
        if self.training:
            p, n = int(self.ptr), len(k)
            self.queue[:, p : p + n] = k.T
            self.ptr[0] = (p + n) % self.K
        return logits


X = torch.tensor(load_digits().data / 8 - 1, dtype=torch.float32)


def model():
    return MoCo()


def batch(n=64):
    x = X[torch.randint(0, len(X), (n,))]
    a, b = x + 0.4 * torch.randn_like(x), x + 0.4 * torch.randn_like(x)
    return (a, b), torch.zeros(n, dtype=torch.long)


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.SGD(model.encoder_q.parameters(), lr=0.1, momentum=0.9)
