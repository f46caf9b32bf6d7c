"""Llama-style block: RMSNorm, rotary positions, SwiGLU, no biases."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class RMSNorm(nn.Module):
    def __init__(self, dim, eps=1e-5):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


def rotate(x):
    T, d = x.shape[-2:]
    theta = 10000 ** (-torch.arange(0, d, 2) / d)
    angle = torch.arange(T)[:, None] * theta
    z = torch.view_as_complex(x.reshape(*x.shape[:-1], d // 2, 2))
    return torch.view_as_real(z * torch.polar(torch.ones_like(angle), angle)).flatten(-2)


class LlamaBlock(nn.Module):
    def __init__(self, d=64, h=4):
        super().__init__()
        self.h = h
        self.attention_norm, self.ffn_norm = RMSNorm(d), RMSNorm(d)
        self.wq, self.wk, self.wv, self.wo = (nn.Linear(d, d, bias=False) for _ in range(4))
        self.w1, self.w3 = nn.Linear(d, 128, bias=False), nn.Linear(d, 128, bias=False)
        self.w2 = nn.Linear(128, d, bias=False)

    def forward(self, x):
        B, T, D = x.shape
        y = self.attention_norm(x)
        q, k, v = (w(y).view(B, T, self.h, -1).transpose(1, 2) for w in (self.wq, self.wk, self.wv))
        y = F.scaled_dot_product_attention(rotate(q), rotate(k), v, is_causal=True)
        x = x + self.wo(y.transpose(1, 2).reshape(B, T, D))
        y = self.ffn_norm(x)
        return x + self.w2(F.silu(self.w1(y)) * self.w3(y))


class Llama(nn.Module):
    def __init__(self, vocab=11, n=3, d=64):
        super().__init__()
        self.tok = nn.Embedding(vocab, d)
        self.blocks = nn.ModuleList(LlamaBlock(d) for _ in range(n))
        self.norm = RMSNorm(d)
        self.output = nn.Linear(d, vocab, bias=False)

    def forward(self, t):
        x = self.tok(t)
        for b in self.blocks:
            x = b(x)
        return self.output(self.norm(x))


def model():
    return Llama()


def batch():
    # delayed copy: target is the token three places back
    x = torch.randint(0, 11, (32, 24))
    y = torch.roll(x, 3, 1)
    y[:, :3] = -100
    return x, y


def loss(out, y):
    return F.cross_entropy(out.flatten(0, 1), y.flatten(), ignore_index=-100)


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95))
