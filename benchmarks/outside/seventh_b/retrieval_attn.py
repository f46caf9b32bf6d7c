"""Key-value lookup with one attention layer, translated from a haiku module."""
import math

import torch
from torch import nn


class Lookup(nn.Module):
    def __init__(self, n_sym=16, dim=128):
        super().__init__()
        self.dim = dim
        self.key_emb = nn.Embedding(n_sym, dim)
        self.val_emb = nn.Embedding(n_sym, dim)
        self.wq = nn.Linear(dim, dim, bias=False)
        self.wk = nn.Linear(dim, dim, bias=False)
        self.wv = nn.Linear(dim, dim, bias=False)
        for lin in (self.wq, self.wk, self.wv):
            nn.init.normal_(lin.weight, std=1 / math.sqrt(dim))
        self.head = nn.Linear(dim, n_sym)

    def forward(self, keys, vals, query):
        q = self.wq(self.key_emb(query))[:, None]
        k = self.wk(self.key_emb(keys))
        v = self.wv(self.val_emb(vals))
        logits = q @ k.transpose(1, 2) * math.sqrt(self.dim)
        return self.head((logits.softmax(-1) @ v)[:, 0])


def batch(b=64, t=8):
    keys = torch.rand(b, 16).argsort(1)[:, :t]
    vals = torch.randint(0, 16, (b, t))
    j = torch.randint(0, t, (b, 1))
    return (keys, vals, keys.gather(1, j)[:, 0]), vals.gather(1, j)[:, 0]


loss = nn.functional.cross_entropy


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
