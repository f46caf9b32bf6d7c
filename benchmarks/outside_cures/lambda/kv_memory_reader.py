# -*- coding: utf-8 -*-
"""
Thesis, chapter 4: a key/value memory that is read by content.

A dialogue state is a list of (slot, value) pairs in arbitrary order; a question names one slot and
the network has to say its value. Toy version: 40 slot names, 12 values, 24 pairs in memory.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

N_SLOTS, N_VALUES, MEM = 40, 12, 24


def make_dialogues(n, seed):
    g = torch.Generator().manual_seed(seed)
    slots = torch.stack([torch.randperm(N_SLOTS, generator=g)[:MEM] for _ in range(n)])
    values = torch.randint(0, N_VALUES, (n, MEM), generator=g)
    pick = torch.randint(0, MEM, (n,), generator=g)
    rows = torch.arange(n)
    return slots, values, slots[rows, pick], values[rows, pick]


class CosineAttention(nn.Module):
    """Multi-head attention on the unit sphere.

    Queries and keys are L2-normalised, so the scores are cosines and cannot blow up
    (see discussion in sec. 4.2: dot products grew without bound in the first prototype).
    """

    def __init__(self, dim, heads=4):
        super().__init__()
        self.h, self.d = heads, dim // heads
        self.to_q = nn.Linear(dim, dim, bias=False)
        self.to_k = nn.Linear(dim, dim, bias=False)
        self.to_v = nn.Linear(dim, dim, bias=False)
        self.out = nn.Linear(dim, dim)

    def split(self, x):
        return x.unflatten(-1, (self.h, self.d)).transpose(1, 2)

    def forward(self, query, memory_keys, memory_values):
        q = F.normalize(self.split(self.to_q(query)), dim=-1)
        k = F.normalize(self.split(self.to_k(memory_keys)), dim=-1)
        v = self.split(self.to_v(memory_values))
        cosine = q @ k.transpose(-1, -2)
        att = cosine.softmax(dim=-1)
        return self.out((att @ v).transpose(1, 2).flatten(2))


class MemoryReader(nn.Module):
    def __init__(self, dim=64):
        super().__init__()
        self.slot_emb = nn.Embedding(N_SLOTS, dim)
        self.value_emb = nn.Embedding(N_VALUES, dim)
        self.read = CosineAttention(dim)
        self.norm = nn.LayerNorm(dim)
        self.classify = nn.Sequential(nn.Linear(dim, 64), nn.ReLU(), nn.Linear(64, N_VALUES))

    def forward(self, slots, values, asked):
        q = self.slot_emb(asked).unsqueeze(1)
        r = self.read(q, self.slot_emb(slots), self.value_emb(values)).squeeze(1)
        return self.classify(self.norm(r))


def model():
    return MemoryReader()


S, V, Q, A = make_dialogues(6000, seed=11)


def data():
    for idx in torch.randperm(len(A)).split(100):
        yield (S[idx], V[idx], Q[idx]), A[idx]


def loss(logits, answer):
    return F.cross_entropy(logits, answer)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
