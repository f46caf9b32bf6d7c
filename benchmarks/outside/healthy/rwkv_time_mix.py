"""RWKV-4 style time mixing and channel mixing, recurrent form with the running maximum."""

import torch
from torch import nn
from torch.nn import functional as F


def shift(x):
    return F.pad(x, (0, 0, 1, -1))


class TimeMix(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.decay = nn.Parameter(torch.linspace(-3, 1, d))
        self.first = nn.Parameter(torch.full((d,), 0.3))
        self.mix = nn.Parameter(torch.full((3, d), 0.5))
        self.k, self.v, self.r, self.o = (nn.Linear(d, d, bias=False) for _ in range(4))

    def forward(self, x):
        p = shift(x)
        xk, xv, xr = (x * m + p * (1 - m) for m in self.mix)
        k, v, r = self.k(xk), self.v(xv), torch.sigmoid(self.r(xr))
        w = -torch.exp(self.decay)
        a = b = torch.zeros_like(x[:, 0])
        top = torch.full_like(a, -1e30)
        out = []
        for t in range(x.shape[1]):
            kt, vt = k[:, t], v[:, t]
            q = torch.maximum(top, self.first + kt)
            e1, e2 = torch.exp(top - q), torch.exp(self.first + kt - q)
            out.append((e1 * a + e2 * vt) / (e1 * b + e2))
            q = torch.maximum(top + w, kt)
            e1, e2 = torch.exp(top + w - q), torch.exp(kt - q)
            a, b, top = e1 * a + e2 * vt, e1 * b + e2, q
        return self.o(r * torch.stack(out, 1))


class ChannelMix(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.mix = nn.Parameter(torch.full((2, d), 0.5))
        self.k, self.v = nn.Linear(d, 3 * d, bias=False), nn.Linear(3 * d, d, bias=False)
        self.r = nn.Linear(d, d, bias=False)

    def forward(self, x):
        xk, xr = (x * m + shift(x) * (1 - m) for m in self.mix)
        return torch.sigmoid(self.r(xr)) * self.v(torch.relu(self.k(xk)) ** 2)


class RWKV(nn.Module):
    def __init__(self, vocab=10, d=40, depth=2):
        super().__init__()
        self.emb = nn.Sequential(nn.Embedding(vocab, d), nn.LayerNorm(d))
        self.tm = nn.ModuleList(TimeMix(d) for _ in range(depth))
        self.cm = nn.ModuleList(ChannelMix(d) for _ in range(depth))
        self.ln = nn.ModuleList(nn.LayerNorm(d) for _ in range(2 * depth + 1))
        self.head = nn.Linear(d, vocab, bias=False)

    def forward(self, t):
        x = self.emb(t)
        for i, (tm, cm) in enumerate(zip(self.tm, self.cm)):
            x = x + tm(self.ln[2 * i](x))
            x = x + cm(self.ln[2 * i + 1](x))
        return self.head(self.ln[-1](x))


def model():
    return RWKV()


def batch():
    x = torch.randint(0, 10, (32, 20))
    prev = F.pad(x, (1, -1))
    return x, (x + prev) % 10


def loss(o, y):
    return F.cross_entropy(o.transpose(1, 2), y)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
