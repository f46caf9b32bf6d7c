import torch
from torch import nn


class SelfAttention(nn.Module):
    def __init__(self, d, heads=2):
        super().__init__()
        self.heads, self.dk = heads, d // heads
        self.qkv = nn.Linear(d, 3 * d)
        self.o = nn.Linear(d, d)

    def forward(self, x):
        b, n, d = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.heads, self.dk).permute(2, 0, 3, 1, 4)
        att = (q @ k.transpose(-2, -1)) * self.dk
        y = att.softmax(dim=-1) @ v
        return self.o(y.transpose(1, 2).reshape(b, n, d))


class SetTransformer(nn.Module):
    def __init__(self, d=64, depth=2):
        super().__init__()
        self.emb = nn.Linear(4, d)
        self.norms = nn.ModuleList(nn.LayerNorm(d) for _ in range(depth))
        self.blocks = nn.ModuleList(SelfAttention(d) for _ in range(depth))
        self.head = nn.Linear(d, 1)

    def forward(self, x):
        h = self.emb(x)
        for norm, block in zip(self.norms, self.blocks):
            h = h + block(norm(h))
        return self.head(h).squeeze(-1)


def batch(n=64, items=12):
    # each item is asked for the mean third feature of the items with the same sign of the first
    x = torch.randn(n, items, 4)
    same = (x[:, :, None, 0].sign() == x[:, None, :, 0].sign()).float()
    mean = (same @ x[..., 2:3]).squeeze(-1) / same.sum(-1)
    return x, 3 * mean


def loss(pred, target):
    return nn.functional.mse_loss(pred, target)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
