"""Associative recall with one attention head, written out by hand for the lecture.

A memory of twelve (key, value) pairs and a query that is a noisy copy of one key.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

SLOTS, DIM, VALUES = 12, 32, 10


def episodes(n, seed):
    g = torch.Generator().manual_seed(seed)
    keys = torch.randn(n, SLOTS, DIM, generator=g)
    values = torch.randint(0, VALUES, (n, SLOTS), generator=g)
    which = torch.randint(0, SLOTS, (n,), generator=g)
    query = keys[torch.arange(n), which] + 0.3 * torch.randn(n, DIM, generator=g)
    return (query, keys, values), values[torch.arange(n), which]


(Q, K, V), T = episodes(4000, 0)
VAL, VAL_T = episodes(500, 1)


class Head(nn.Module):
    def __init__(self, d=64):
        super().__init__()
        self.w_q = nn.Parameter(torch.randn(DIM, d))
        self.w_k = nn.Parameter(torch.randn(DIM, d))
        self.w_v = nn.Parameter(torch.randn(VALUES, d))
        self.w_o = nn.Parameter(torch.randn(d, VALUES) * 0.1)

    def forward(self, query, keys, values):
        q = query @ self.w_q  # (n, d)
        k = keys @ self.w_k  # (n, slots, d)
        v = self.w_v[values]
        att = torch.einsum("nd,nsd->ns", q, k).softmax(-1)
        return torch.einsum("ns,nsd->nd", att, v) @ self.w_o


def model():
    return Head()


def data():
    for i in torch.randperm(len(T)).split(80):
        yield (Q[i], K[i], V[i]), T[i]


loss = F.cross_entropy


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)


@torch.no_grad()
def metric(model):
    return (model(*VAL).argmax(-1) == VAL_T).float().mean().item()


GOAL = 0.85
HIGHER_IS_BETTER = True
