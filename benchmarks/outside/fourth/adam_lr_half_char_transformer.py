"""Char model on a nursery rhyme. The rate is from the SGD days, Adam since yesterday."""
import torch
from torch import nn

TEXT = (
    "the house that jack built. this is the malt that lay in the house that jack built. "
    "this is the rat that ate the malt that lay in the house that jack built. "
    "this is the cat that killed the rat that ate the malt that lay in the house that jack built. "
) * 4
CHARS = sorted(set(TEXT))
CODES = torch.tensor([CHARS.index(c) for c in TEXT])


class CharTransformer(nn.Module):
    def __init__(self, dim=48, length=32):
        super().__init__()
        self.emb = nn.Embedding(len(CHARS), dim)
        self.pos = nn.Parameter(0.02 * torch.randn(length, dim))
        layer = nn.TransformerEncoderLayer(dim, 4, 96, dropout=0.0, batch_first=True, norm_first=True)
        self.body = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, len(CHARS))
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(length))

    def forward(self, x):
        h = self.emb(x) + self.pos
        h = self.body(h, mask=self.mask, is_causal=True)
        return self.out(self.norm(h)).transpose(1, 2)


def batch(n=16, length=32):
    start = torch.randint(len(CODES) - length - 1, (n,))
    rows = start[:, None] + torch.arange(length + 1)
    window = CODES[rows]
    return window[:, :-1], window[:, 1:]


criterion = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=0.5)
