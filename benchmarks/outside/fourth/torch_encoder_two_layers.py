import math

import torch
from torch import nn


class PositionalEncoding(nn.Module):
    def __init__(self, d_model, max_len=64):
        super().__init__()
        position = torch.arange(max_len).unsqueeze(1)
        div = torch.exp(torch.arange(0, d_model, 2) * (-math.log(10000.0) / d_model))
        pe = torch.zeros(max_len, d_model)
        pe[:, 0::2] = torch.sin(position * div)
        pe[:, 1::2] = torch.cos(position * div)
        self.register_buffer("pe", pe)

    def forward(self, x):
        return x + self.pe[: x.size(1)]


class TopicModel(nn.Module):
    def __init__(self, vocab=80, d_model=64):
        super().__init__()
        self.d_model = d_model
        self.embedding = nn.Embedding(vocab, d_model)
        self.pos = PositionalEncoding(d_model)
        layer = nn.TransformerEncoderLayer(d_model, 4, 128, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.decoder = nn.Linear(d_model, 5)

    def forward(self, src):
        x = self.pos(self.embedding(src) * math.sqrt(self.d_model))
        return self.decoder(self.encoder(x).mean(dim=1))


def batch(n=32, length=20):
    topic = torch.randint(5, (n,))
    words = torch.randint(80, (n, length))
    own = torch.randint(0, 16, (n, length)) + 16 * topic[:, None]
    return torch.where(torch.rand(n, length) < 0.3, own, words), topic


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-4)
