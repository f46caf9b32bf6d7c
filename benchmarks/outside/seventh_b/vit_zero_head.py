import torch
import torch.nn as nn
from sklearn.datasets import load_digits


class ViT(nn.Module):
    """big_vision style: zero head, GAP instead of class token"""

    def __init__(self, dim=48, depth=3, heads=4, patch=2, n_cls=10):
        super().__init__()
        self.embed = nn.Conv2d(1, dim, patch, patch)
        self.pos = nn.Parameter(torch.randn(1, 16, dim) / dim ** 0.5)
        enc = nn.TransformerEncoderLayer(dim, heads, 2 * dim, 0.0, "gelu", batch_first=True, norm_first=True)
        self.enc = nn.TransformerEncoder(enc, depth, norm=nn.LayerNorm(dim), enable_nested_tensor=False)
        self.head = nn.Linear(dim, n_cls)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x):
        x = self.embed(x).flatten(2).transpose(1, 2) + self.pos
        return self.head(self.enc(x).mean(1))


d = load_digits()
IMG, LAB = torch.tensor(d.images, dtype=torch.float32)[:, None] / 8 - 1, torch.tensor(d.target)


def batch():
    i = torch.randint(0, len(IMG), (64,))
    return IMG[i], LAB[i]


AUTOCAST = "bfloat16"
CLIP_GRAD_NORM = 1.0
loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-4)
