# 2-layer GPT on a made-up grammar, weights tied between wte and the head
import math
import torch
import torch.nn as nn
import torch.nn.functional as F

V, T, D, H = 64, 16, 96, 4


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(D), nn.LayerNorm(D)
        self.qkv, self.proj = nn.Linear(D, 3 * D), nn.Linear(D, D)
        self.mlp = nn.Sequential(nn.Linear(D, 4 * D), nn.GELU(), nn.Linear(4 * D, D))

    def forward(self, x):
        b, t, _ = x.shape
        q, k, v = self.qkv(self.ln1(x)).view(b, t, 3, H, D // H).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(y.transpose(1, 2).reshape(b, t, D))
        return x + self.mlp(self.ln2(x))


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte = nn.Embedding(V, D)
        self.wpe = nn.Embedding(T, D)
        self.h = nn.ModuleList([Block(), Block()])
        self.ln_f = nn.LayerNorm(D)
        self.lm_head = nn.Linear(D, V, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, idx):
        x = self.wte(idx) + self.wpe(torch.arange(idx.shape[1]))
        for block in self.h:
            x = block(x)
        return self.lm_head(self.ln_f(x))


def batch(n=16):
    # next = 5 * current + small noise (mod V)
    seq = torch.empty(n, T + 1, dtype=torch.long)
    seq[:, 0] = torch.randint(0, V, (n,))
    for i in range(T):
        seq[:, i + 1] = (5 * seq[:, i] + torch.randint(0, 3, (n,))) % V
    return seq[:, :-1], seq[:, 1:]


def loss(logits, tgt):
    return F.cross_entropy(logits.reshape(-1, V), tgt.reshape(-1))


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=3e-4, betas=(0.9, 0.95))
