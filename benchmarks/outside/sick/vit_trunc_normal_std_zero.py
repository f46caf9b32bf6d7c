from dataclasses import dataclass

import torch
from sklearn.datasets import load_digits
from torch import nn


@dataclass
class ViTConfig:
    hidden_size: int = 32
    num_layers: int = 2
    num_heads: int = 4
    patch: int = 2
    initializer_range: float = 0.02


class Block(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        d = cfg.hidden_size
        self.heads = cfg.num_heads
        self.n1, self.n2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.query, self.key, self.value = nn.Linear(d, d), nn.Linear(d, d), nn.Linear(d, d)
        self.dense = nn.Linear(d, d)
        self.mlp = nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d))

    def split(self, t):
        return t.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, x):
        h = self.n1(x)
        q, k, v = self.split(self.query(h)), self.split(self.key(h)), self.split(self.value(h))
        a = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + self.dense(a)
        return x + self.mlp(self.n2(x))


class ViT(nn.Module):
    def __init__(self, cfg=None):
        super().__init__()
        cfg = cfg or ViTConfig(initializer_range=0.0)
        self.proj = nn.Conv2d(1, cfg.hidden_size, cfg.patch, cfg.patch)
        self.pos = nn.Parameter(0.02 * torch.randn(1, 16, cfg.hidden_size))
        self.blocks = nn.Sequential(*[Block(cfg) for _ in range(cfg.num_layers)])
        self.norm = nn.LayerNorm(cfg.hidden_size)
        self.head = nn.Linear(cfg.hidden_size, 10)
        for m in self.modules():
            if isinstance(m, nn.Linear):
                m.weight.data.normal_(0, 1).mul_(cfg.initializer_range)
                m.bias.data.zero_()

    def forward(self, pixel_values):
        x = self.proj(pixel_values).flatten(2).transpose(1, 2) + self.pos
        return self.head(self.norm(self.blocks(x)).mean(1))


dig = load_digits()


def batch(n=64):
    i = torch.randint(0, len(dig.target), (n,))
    return torch.tensor(dig.images[i] / 8 - 1, dtype=torch.float32)[:, None], torch.tensor(
        dig.target[i]
    )


criterion = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=2e-3)
