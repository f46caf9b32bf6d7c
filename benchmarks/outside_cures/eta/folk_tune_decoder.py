# Small decoder-only transformer for folk tunes (notes as tokens).
# The "tunes" come from a second-order process: the next note depends on the last two.
# Same layout as in the lecture: token + position embedding, N pre-norm blocks, shared in/out matrix.

import math
import torch
from torch import nn
import torch.nn.functional as F

VOCAB, T, D, HEADS, LAYERS = 16, 24, 64, 4, 2

_g = torch.Generator().manual_seed(20)
_next = torch.randint(0, VOCAB, (VOCAB, VOCAB, 2), generator=_g)  # two likely continuations, 85:15


def tunes(n, gen):
    seq = torch.randint(0, VOCAB, (n, T + 1), generator=gen)
    pick = (torch.rand(n, T + 1, generator=gen) < 0.15).long()
    for t in range(2, T + 1):
        seq[:, t] = _next[seq[:, t - 2], seq[:, t - 1], pick[:, t]]
    return seq


corpus = tunes(3000, torch.Generator().manual_seed(1))


class Block(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.heads = heads
        self.ln1, self.ln2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv = nn.Linear(d, 3 * d)
        self.proj = nn.Linear(d, d)
        self.ff = nn.Sequential(nn.Linear(d, 4 * d), nn.GELU(), nn.Linear(4 * d, d))

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = self.qkv(self.ln1(x)).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(a.transpose(1, 2).reshape(b, t, d))
        return x + self.ff(self.ln2(x))


class TuneLM(nn.Module):
    def __init__(self):
        super().__init__()
        self.tok = nn.Embedding(VOCAB, D)
        self.pos = nn.Embedding(T, D)
        self.blocks = nn.ModuleList([Block(D, HEADS) for _ in range(LAYERS)])
        self.ln = nn.LayerNorm(D)
        self.out = nn.Linear(D, VOCAB, bias=False)
        self.out.weight = self.tok.weight  # weight tying (Press & Wolf)

    def forward(self, idx):
        x = self.tok(idx) * math.sqrt(D) + self.pos(torch.arange(idx.shape[1]))
        for blk in self.blocks:
            x = blk(x)
        return self.out(self.ln(x))


def model():
    return TuneLM()


def data():
    for i in torch.randperm(len(corpus)).split(50):
        s = corpus[i]
        yield s[:, :-1], s[:, 1:]


def loss(logits, target):
    return F.cross_entropy(logits.reshape(-1, VOCAB), target.reshape(-1))


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1)
