"""Is the bracket string balanced?  Encoder-only transformer, from scratch, as in the 2017 paper."""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

LENGTH = 16
PAD_CLS = 2


def is_balanced(row):
    depth = 0
    for t in row:
        depth += 1 if t == 0 else -1
        if depth < 0:
            return False
    return depth == 0


def random_balanced(g):
    out, depth = [], 0
    for left in range(LENGTH, 0, -1):
        p_open = 1.0 if depth == 0 else 0.0 if depth == left else 0.5
        t = 0 if torch.rand(1, generator=g).item() < p_open else 1
        out.append(t)
        depth += 1 if t == 0 else -1
    return out


def corpus(n, seed):
    g = torch.Generator().manual_seed(seed)
    rows = []
    for i in range(n):
        row = random_balanced(g)
        if i % 2:
            while is_balanced(row):
                j = torch.randint(0, LENGTH, (3,), generator=g).tolist()
                for k in j:
                    row[k] = 1 - row[k]
        rows.append(row)
    x = torch.tensor(rows)
    y = (torch.arange(n) % 2 == 0).long()
    return torch.cat([torch.full((n, 1), PAD_CLS), x], 1), y


class SelfAttention(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(d, 3 * d)
        self.out = nn.Linear(d, d)

    def forward(self, x):
        B, L, D = x.shape
        q, k, v = self.qkv(x).view(B, L, 3, self.heads, D // self.heads).permute(2, 0, 3, 1, 4)
        att = (q @ k.transpose(-2, -1) / math.sqrt(D // self.heads)).softmax(-1)
        return self.out((att @ v).transpose(1, 2).reshape(B, L, D))


class Block(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.attn = SelfAttention(d, heads)
        self.ff = nn.Sequential(nn.Linear(d, 2 * d), nn.ReLU(), nn.Linear(2 * d, d))
        self.norm1 = nn.LayerNorm(d)
        self.norm2 = nn.LayerNorm(d)

    def forward(self, x):
        x = self.norm1(x + self.attn(x))
        x = self.norm2(x + self.ff(x))
        return x


class Encoder(nn.Module):
    def __init__(self, d=32, heads=4, depth=6):
        super().__init__()
        self.tok = nn.Embedding(3, d)
        self.pos = nn.Parameter(torch.randn(LENGTH + 1, d) * 0.1)
        self.blocks = nn.ModuleList(Block(d, heads) for _ in range(depth))
        self.cls = nn.Linear(d, 2)

    def forward(self, tokens):
        h = self.tok(tokens) + self.pos
        for block in self.blocks:
            h = block(h)
        return self.cls(h.mean(1))


def model():
    return Encoder()


tokens, balanced = corpus(2400, seed=0)


def data(seed=0):
    order = torch.randperm(2000, generator=torch.Generator().manual_seed(seed))
    for b in order.split(40):
        yield tokens[b], balanced[b]


def loss(output, target):
    return F.cross_entropy(output, target)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)


def metric(model):
    model.eval()
    with torch.no_grad():
        return (model(tokens[2000:]).argmax(1) == balanced[2000:]).float().mean().item()


HIGHER_IS_BETTER = True
