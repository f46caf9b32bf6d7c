import torch
from torch import nn


class TinyGPT(nn.Module):
    def __init__(self, vocab=16, d=32, heads=2, layers=2, T=24):
        super().__init__()
        self.tok = nn.Embedding(vocab, d)
        self.pos = nn.Embedding(T, d)
        block = nn.TransformerEncoderLayer(
            d, heads, 4 * d, dropout=0.0, batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(block, layers, enable_nested_tensor=False)
        self.ln = nn.LayerNorm(d)
        self.lm_head = nn.Linear(d, vocab)

    def forward(self, idx):
        T = idx.size(1)
        mask = torch.triu(torch.full((T, T), float("-inf")), 1)
        h = self.tok(idx) + self.pos(torch.arange(T))
        return self.lm_head(self.ln(self.blocks(h, mask=mask)))


def batch(n=16, T=24):
    start = torch.randint(0, 16, (n, 1))
    step = torch.randint(1, 4, (n, 1))
    seq = (start + step * torch.arange(T + 1)) % 16
    return seq[:, :-1], seq[:, 1:]


def loss(logits, target):
    return nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten())


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=10)
