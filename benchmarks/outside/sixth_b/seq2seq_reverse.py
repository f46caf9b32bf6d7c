"""Sutskever-style encoder-decoder, teacher forcing, task: write the sequence backwards."""
import torch
import torch.nn as nn

V, L = 10, 8


class Encoder(nn.Module):
    def __init__(self, h):
        super().__init__()
        self.emb = nn.Embedding(V, 16)
        self.rnn = nn.GRU(16, h, batch_first=True)

    def forward(self, src):
        return self.rnn(self.emb(src))[1]


class Decoder(nn.Module):
    def __init__(self, h):
        super().__init__()
        self.emb = nn.Embedding(V + 1, 16)
        self.rnn = nn.GRU(16, h, batch_first=True)
        self.out = nn.Linear(h, V)

    def forward(self, prev, h):
        o, _ = self.rnn(self.emb(prev), h)
        return self.out(o)


class Seq2Seq(nn.Module):
    def __init__(self, h=32):
        super().__init__()
        self.encoder = Encoder(h)
        self.decoder = Decoder(h)

    def forward(self, src, prev):
        return self.decoder(prev, self.encoder(src))


def batch(n=128):
    src = torch.randint(0, V, (n, L))
    tgt = src.flip(1)
    prev = torch.cat([torch.full((n, 1), V), tgt[:, :-1]], 1)
    return (src, prev), tgt


def loss(logits, tgt):
    return nn.functional.cross_entropy(logits.reshape(-1, V), tgt.reshape(-1))


def optimizer(model):
    return torch.optim.Adam(model.decoder.parameters(), lr=5e-3)
