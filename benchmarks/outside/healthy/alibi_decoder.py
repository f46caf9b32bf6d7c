"""Attention with linear biases in place of position embeddings; the task is to copy a motif."""

import torch
from torch import nn
from torch.nn import functional as F


def alibi(heads, n):
    slopes = torch.tensor([2 ** (-8 * (h + 1) / heads) for h in range(heads)])
    dist = torch.arange(n)[:, None] - torch.arange(n)[None]
    bias = -slopes[:, None, None] * dist
    return bias.masked_fill(dist < 0, float("-inf"))


class Layer(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.heads = heads
        self.n1, self.n2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.o = nn.Linear(d, 3 * d, bias=False), nn.Linear(d, d, bias=False)
        self.up, self.gate, self.down = (
            nn.Linear(d, 2 * d),
            nn.Linear(d, 2 * d),
            nn.Linear(2 * d, d),
        )

    def forward(self, x, bias):
        b, n, d = x.shape
        q, k, v = self.qkv(self.n1(x)).chunk(3, -1)
        q, k, v = (t.reshape(b, n, self.heads, -1).transpose(1, 2) for t in (q, k, v))
        w = torch.softmax(q @ k.mT / q.shape[-1] ** 0.5 + bias, -1)
        x = x + self.o((w @ v).transpose(1, 2).reshape(b, n, d))
        h = self.n2(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class AlibiLM(nn.Module):
    def __init__(self, vocab=12, d=64, heads=4, depth=3):
        super().__init__()
        self.emb = nn.Embedding(vocab, d)
        self.layers = nn.ModuleList(Layer(d, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(d)
        self.head = nn.Linear(d, vocab)

    def forward(self, x):
        bias = alibi(self.layers[0].heads, x.shape[1])
        x = self.emb(x)
        for layer in self.layers:
            x = layer(x, bias)
        return self.head(self.norm(x))


def model():
    return AlibiLM()


def batch():
    motif = torch.randint(12, (32, 6))
    s = motif.repeat(1, 5)
    return s[:, :-1], s[:, 1:]


def loss(output, target):
    return F.cross_entropy(output.transpose(1, 2), target)


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=2e-3)
