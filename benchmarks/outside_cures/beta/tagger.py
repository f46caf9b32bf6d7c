"""Tag every token with whether the same token stands elsewhere in the sentence. Encoder-only transformer."""

from dataclasses import dataclass

import torch
from torch import nn


@dataclass
class Config:
    vocab: int = 16
    length: int = 10
    dim: int = 32
    heads: int = 4
    layers: int = 16
    lr: float = 3e-3


cfg = Config()


def sentences(n, seed):
    g = torch.Generator().manual_seed(seed)
    tokens = torch.randint(cfg.vocab, (n, cfg.length), generator=g)
    twice = (tokens.unsqueeze(2) == tokens.unsqueeze(1)).sum(2) > 1
    return tokens, twice.long()


class Encoder(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.tok = nn.Embedding(c.vocab, c.dim)
        self.pos = nn.Parameter(torch.zeros(c.length, c.dim))
        layer = nn.TransformerEncoderLayer(c.dim, c.heads, 2 * c.dim, dropout=0.0, batch_first=True)
        self.stack = nn.TransformerEncoder(layer, c.layers, enable_nested_tensor=False)
        self.tag = nn.Linear(c.dim, 2)

    def forward(self, tokens):
        return self.tag(self.stack(self.tok(tokens) + self.pos))


def model():
    return Encoder(cfg)


train_tokens, train_tags = sentences(2000, 7)


def data(seed=0):
    g = torch.Generator().manual_seed(seed)
    for i in torch.randperm(2000, generator=g).split(40):
        yield train_tokens[i], train_tags[i]


def loss(output, target):
    return nn.functional.cross_entropy(output.flatten(0, 1), target.flatten())


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=cfg.lr)
