"""Sanity check of our encoder stack before the real translation task: reverse a string.

Layer sizes scaled down from the base config; rest as in "Attention is all you need".
"""
import torch
from torch import nn

VOCAB, LENGTH = 20, 12


class Config:
    d_model = 48
    n_head = 4
    d_ff = 96
    n_layer = 6
    lr = 4e-3
    betas = (0.9, 0.98)
    batch = 48


class Reverser(nn.Module):
    def __init__(self, cfg=Config):
        super().__init__()
        self.tok = nn.Embedding(VOCAB, cfg.d_model)
        self.pos = nn.Parameter(torch.randn(LENGTH, cfg.d_model))
        layer = nn.TransformerEncoderLayer(
            cfg.d_model, cfg.n_head, dim_feedforward=cfg.d_ff, dropout=0.0, batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, cfg.n_layer)
        for p in self.encoder.parameters():
            if p.dim() > 1:
                nn.init.xavier_uniform_(p)
        self.generator = nn.Linear(cfg.d_model, VOCAB)

    def forward(self, src):
        return self.generator(self.encoder(self.tok(src) + self.pos))


def make_batches(n, size, generator=None):
    for _ in range(n):
        s = torch.randint(0, VOCAB, (size, LENGTH), generator=generator)
        yield s, s.flip(1)


def model():
    return Reverser()


def data():
    return make_batches(80, Config.batch)


def loss(out, tgt):
    return nn.functional.cross_entropy(out.transpose(1, 2), tgt)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=Config.lr, betas=Config.betas, eps=1e-9)
