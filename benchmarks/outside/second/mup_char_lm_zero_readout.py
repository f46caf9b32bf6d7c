import torch
import torch.nn.functional as F
from torch import nn

TEXT = "the cat sat on the mat and the dog ate the hat while a rat ran to the vat . " * 20
CHARS = sorted(set(TEXT))
IDS = torch.tensor([CHARS.index(c) for c in TEXT])


class Block(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.h = heads
        self.qkv = nn.Linear(d, 3 * d, bias=False)
        self.proj = nn.Linear(d, d, bias=False)
        self.up, self.down = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)
        nn.init.zeros_(self.qkv.weight[:d])

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = self.qkv(F.layer_norm(x, (d,))).view(b, t, 3, self.h, -1).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=8 / q.shape[-1])
        x = x + self.proj(y.transpose(1, 2).reshape(b, t, d))
        return x + self.down(F.relu(self.up(F.layer_norm(x, (d,)))).square())


class CharLM(nn.Module):
    def __init__(self, d=48):
        super().__init__()
        self.tok, self.pos = nn.Embedding(len(CHARS), d), nn.Embedding(24, d)
        self.blocks = nn.Sequential(Block(d, 3), Block(d, 3))
        self.readout = nn.Linear(d, len(CHARS), bias=False)
        nn.init.zeros_(self.readout.weight)

    def forward(self, ids):
        x = self.tok(ids) + self.pos.weight[: ids.shape[1]]
        return self.readout(F.layer_norm(self.blocks(x), (x.shape[-1],)))


def batch(n=16, t=24):
    start = torch.randint(len(IDS) - t - 1, (n, 1)) + torch.arange(t)
    return IDS[start], IDS[start + 1]


def loss(logits, ids):
    return F.cross_entropy(logits.flatten(0, 1), ids.flatten())


def optimizer(m):
    return torch.optim.AdamW(m.parameters(), lr=4e-3, betas=(0.9, 0.95))
