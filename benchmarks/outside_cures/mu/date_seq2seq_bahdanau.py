"""Human dates -> ISO dates with an attentive GRU encoder/decoder.

    "3 march 1987"  ->  "1987-03-03"
"""
import datetime
import random

import torch
import torch.nn as nn

MONTHS = ("january february march april may june july august september october november december").split()
IN_LEN, OUT_LEN = 18, 10


def render(d, rng):
    style = rng.randrange(3)
    if style == 0:
        return f"{d.day} {MONTHS[d.month - 1]} {d.year}"
    if style == 1:
        return f"{MONTHS[d.month - 1][:3]} {d.day}, {d.year}"
    return f"{d.day:02d}/{d.month:02d}/{d.year}"


src_chars = ["<pad>"] + sorted(set("".join(MONTHS) + "0123456789 ,/"))
tgt_chars = ["<go>"] + list("0123456789-")
s2i = {c: i for i, c in enumerate(src_chars)}
t2i = {c: i for i, c in enumerate(tgt_chars)}


def build(n, seed):
    rng = random.Random(seed)
    src, tgt = [], []
    for _ in range(n):
        d = datetime.date(1950, 1, 1) + datetime.timedelta(days=rng.randrange(365 * 70))
        s = [s2i[c] for c in render(d, rng)]
        src.append(s + [0] * (IN_LEN - len(s)))
        tgt.append([t2i[c] for c in d.isoformat()])
    src, tgt = torch.tensor(src), torch.tensor(tgt)
    go = torch.zeros(n, 1, dtype=torch.long)
    return src, torch.cat([go, tgt[:, :-1]], 1), tgt


class AdditiveAttention(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.q = nn.Linear(dim, dim, bias=False)
        self.k = nn.Linear(dim, dim)
        self.v = nn.Linear(dim, 1, bias=False)

    def forward(self, query, keys_proj, memory, pad):
        e = self.v(torch.tanh(self.q(query).unsqueeze(1) + keys_proj)).squeeze(-1)
        a = e.masked_fill(pad, -1e9).softmax(-1)
        return torch.bmm(a.unsqueeze(1), memory).squeeze(1)


class Seq2Seq(nn.Module):
    def __init__(self, dim=64):
        super().__init__()
        self.src_embed = nn.Embedding(len(src_chars), 32)
        self.tgt_embed = nn.Embedding(len(tgt_chars), 32)
        self.encoder = nn.GRU(32, dim // 2, batch_first=True, bidirectional=True)
        self.attention = AdditiveAttention(dim)
        self.cell = nn.GRUCell(32 + dim, dim)
        self.out = nn.Linear(2 * dim, len(tgt_chars))

    def forward(self, src, prev):
        memory, last = self.encoder(self.src_embed(src))
        keys, pad = self.attention.k(memory), src == 0
        h = torch.cat([last[0], last[1]], -1)
        logits = []
        for t in range(prev.size(1)):
            ctx = self.attention(h, keys, memory, pad)
            h = self.cell(torch.cat([self.tgt_embed(prev[:, t]), ctx], -1), h)
            logits.append(self.out(torch.cat([h, ctx], -1)))
        return torch.stack(logits, 1)


SRC, PREV, TGT = build(3000, seed=1234)


def model():
    return Seq2Seq()


def data():
    for i in torch.randperm(len(SRC)).split(50):
        yield (SRC[i], PREV[i]), TGT[i]


def loss(logits, tgt):
    return nn.functional.cross_entropy(logits.flatten(0, 1), tgt.flatten())


def optimizer(model):
    # betas and weight decay as in the GPT-3 appendix
    return torch.optim.Adam(model.parameters(), lr=3e-3, betas=(0.9, 0.95), weight_decay=0.1)
