"""Small encoder for keyword detection, written from memory."""
import torch
from torch import nn

VOCAB, LENGTH, DIM = 50, 24, 64


class Block(nn.Module):
    def __init__(self, dim, heads=4):
        super().__init__()
        self.attn = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.ff = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, x):
        x, _ = self.attn(x, x, x, need_weights=False)
        return self.ff(x)


class KeywordEncoder(nn.Module):
    def __init__(self, depth=6):
        super().__init__()
        self.emb = nn.Embedding(VOCAB, DIM)
        self.pos = nn.Parameter(torch.randn(1, LENGTH, DIM) * 0.02)
        self.blocks = nn.ModuleList(Block(DIM) for _ in range(depth))
        self.head = nn.Linear(DIM, 2)

    def forward(self, ids):
        x = self.emb(ids) + self.pos
        for b in self.blocks:
            x = b(x)
        return self.head(x.mean(1))


def batch(n=32):
    # label: does one of the three keywords occur?
    ids = torch.randint(3, VOCAB, (n, LENGTH))
    y = torch.randint(0, 2, (n,))
    where = torch.randint(LENGTH, (n,))
    key = torch.randint(0, 3, (n,))
    ids[torch.arange(n), where] = torch.where(y == 1, key, ids[torch.arange(n), where])
    return ids, y


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=3e-4)
