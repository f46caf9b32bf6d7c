"""nn.TransformerEncoder with its default post-norm layers and a mean-pooled classifier."""

import torch
from torch import nn


class SeqClassifier(nn.Module):
    def __init__(self, vocab=30, d=64, n_layers=3, max_len=20):
        super().__init__()
        self.tok = nn.Embedding(vocab, d)
        self.pos = nn.Parameter(0.02 * torch.randn(max_len, d))
        layer = nn.TransformerEncoderLayer(d, 4, 128, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, n_layers)
        self.fc = nn.Linear(d, 5)

    def forward(self, x):
        mask = x == 0
        h = self.encoder(self.tok(x) + self.pos, src_key_padding_mask=mask)
        keep = (~mask).unsqueeze(-1).float()
        return self.fc((h * keep).sum(1) / keep.sum(1))


def batch(n=48):
    """Which of the five marker tokens is in the sentence?"""
    x = torch.randint(6, 30, (n, 20))
    y = torch.randint(0, 5, (n,))
    length = torch.randint(10, 21, (n, 1))
    where = (torch.rand(n, 1) * 10).long()
    x.scatter_(1, where, (y + 1)[:, None])
    x[torch.arange(20)[None] >= length] = 0
    return x, y


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-4)
