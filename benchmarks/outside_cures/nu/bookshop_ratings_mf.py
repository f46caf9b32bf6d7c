# Matrix factorisation for the bookshop recommender.
# Ported from our 2017 numpy script (one update per rating) to torch mini-batches.
import numpy as np
import torch
from torch import nn

N_USERS, N_BOOKS, RANK = 240, 160, 12

rs = np.random.RandomState(11)
_pu = rs.normal(0, 0.75, (N_USERS, 3))
_qb = rs.normal(0, 0.75, (N_BOOKS, 3))
_bu = rs.normal(0, 0.3, N_USERS)
_bb = rs.normal(0, 0.4, N_BOOKS)


def sample_ratings(n):
    """Customers rate on a slider from 0 to 10 stars, halves and quarters allowed."""
    u = rs.randint(0, N_USERS, n)
    b = rs.randint(0, N_BOOKS, n)
    r = 6.4 + _bu[u] + _bb[b] + 1.2 * (_pu[u] * _qb[b]).sum(1) + rs.normal(0, 0.25, n)
    return torch.tensor(u), torch.tensor(b), torch.tensor(r.clip(0, 10), dtype=torch.float32)


USERS, BOOKS, STARS = sample_ratings(16000)
HELD_OUT = sample_ratings(3000)


class MF(nn.Module):
    def __init__(self, rank=RANK):
        super().__init__()
        self.user = nn.Embedding(N_USERS, rank)
        self.book = nn.Embedding(N_BOOKS, rank)
        self.user_bias = nn.Embedding(N_USERS, 1)
        self.book_bias = nn.Embedding(N_BOOKS, 1)
        self.mean = nn.Parameter(torch.zeros(1))
        for e in (self.user, self.book):
            nn.init.normal_(e.weight, 0, 0.01)
        for e in (self.user_bias, self.book_bias):
            nn.init.zeros_(e.weight)

    def forward(self, u, b):
        dot = (self.user(u) * self.book(b)).sum(-1)
        return self.mean + self.user_bias(u)[:, 0] + self.book_bias(b)[:, 0] + dot


def model():
    return MF()


def data():
    for i in torch.randperm(len(STARS)).split(256)[:-1]:
        yield (USERS[i], BOOKS[i]), STARS[i]


def loss(pred, stars):
    return ((pred - stars) ** 2).mean()


def optimizer(net):
    # same step size and shrinkage as the numpy script
    return torch.optim.SGD(net.parameters(), lr=0.01, weight_decay=0.02)
