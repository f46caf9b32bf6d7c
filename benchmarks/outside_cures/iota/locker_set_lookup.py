#!/usr/bin/env python3
# -*- coding: utf-8 -*-
"""
HW 4 - Attention over sets
Student: M. K.

Set of 10 events (badge, locker). The query is a badge that is in the set;
say which locker it went to. Order of the set must not matter, so: Set
Transformer encoder (Lee et al. 2019) + pooling by attention with the query
as the seed.
"""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

BADGES = 20
LOCKERS = 8
SET = 10
D = 64
HEADS = 2


def make_events(n, seed):
    gen = torch.Generator().manual_seed(seed)
    # badges are distinct inside one set
    badges = torch.rand(n, BADGES, generator=gen).argsort(1)[:, :SET]
    lockers = torch.randint(0, LOCKERS, (n, SET), generator=gen)
    which = torch.randint(0, SET, (n,), generator=gen)
    rows = torch.arange(n)
    return badges, lockers, badges[rows, which], lockers[rows, which]


class MAB(nn.Module):
    """multihead attention block of the paper"""

    def __init__(self, d, heads):
        super().__init__()
        self.h = heads
        self.dk = d // heads
        self.wq = nn.Linear(d, d)
        self.wk = nn.Linear(d, d)
        self.wv = nn.Linear(d, d)
        self.wo = nn.Linear(d, d)
        self.ln1 = nn.LayerNorm(d)
        self.ln2 = nn.LayerNorm(d)
        self.ff = nn.Sequential(nn.Linear(d, d), nn.ReLU(), nn.Linear(d, d))

    def scores(self, q, k):
        return q @ k.transpose(-2, -1) * math.sqrt(self.dk)

    def split(self, x):
        b, n, _ = x.shape
        return x.view(b, n, self.h, self.dk).transpose(1, 2)

    def forward(self, x, y):
        q, k, v = self.split(self.wq(x)), self.split(self.wk(y)), self.split(self.wv(y))
        a = F.softmax(self.scores(q, k), dim=-1)
        o = (a @ v).transpose(1, 2).reshape(x.shape)
        h = self.ln1(x + self.wo(o))
        return self.ln2(h + self.ff(h))


class LockerNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.badge = nn.Embedding(BADGES, D)
        self.locker = nn.Embedding(LOCKERS, D)
        self.sab = MAB(D, HEADS)
        self.pma = MAB(D, HEADS)
        self.out = nn.Linear(D, LOCKERS)

    def forward(self, badges, lockers, query):
        s = self.badge(badges) + self.locker(lockers)
        s = self.sab(s, s)
        q = self.badge(query).unsqueeze(1)
        return self.out(self.pma(q, s).squeeze(1))


TRAIN = make_events(6000, 1)


def model():
    return LockerNet()


def data():
    b, l, q, y = TRAIN
    for i in torch.randperm(len(y)).split(100):
        yield (b[i], l[i], q[i]), y[i]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
