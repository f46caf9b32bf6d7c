# ViT with LayerScale (CaiT), 8x8 digits, patches of 2x2
import torch
import torch.nn as nn
from sklearn.datasets import load_digits

AUTOCAST = "bfloat16"
_d = load_digits()
imgs = (torch.tensor(_d.images, dtype=torch.float32) / 16 - 0.3).unsqueeze(1)
tgts = torch.tensor(_d.target)


class Block(nn.Module):
    def __init__(self, d, heads, init=1e-4):
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.att = nn.MultiheadAttention(d, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d))
        self.g1 = nn.Parameter(init * torch.ones(d))
        self.g2 = nn.Parameter(init * torch.ones(d))

    def forward(self, x):
        h = self.n1(x)
        x = x + self.g1 * self.att(h, h, h, need_weights=False)[0]
        return x + self.g2 * self.mlp(self.n2(x))


class ViT(nn.Module):
    def __init__(self, d=32, depth=3):
        super().__init__()
        self.patch = nn.Conv2d(1, d, 2, 2)
        self.pos = nn.Parameter(torch.randn(1, 16, d) * 0.5)
        self.blocks = nn.Sequential(*[Block(d, 4) for _ in range(depth)])
        self.norm = nn.LayerNorm(d)
        self.head = nn.Linear(d, 10)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2) + self.pos
        return self.head(self.norm(self.blocks(x)).mean(1))


def batch():
    i = torch.randint(0, len(imgs), (32,))
    return imgs[i], tgts[i]


def loss(out, y):
    return nn.functional.cross_entropy(out.float(), y)


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.05)
