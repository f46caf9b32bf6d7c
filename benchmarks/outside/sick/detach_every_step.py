import torch
from torch import nn


class CharModel(nn.Module):
    def __init__(self, vocab=6, emb=12, hidden=48):
        super().__init__()
        self.embed = nn.Embedding(vocab, emb)
        self.cell = nn.GRUCell(emb, hidden)
        self.decode = nn.Linear(hidden, vocab)
        self.hidden = hidden

    def forward(self, tokens):
        h = torch.zeros(tokens.size(0), self.hidden)
        for t in range(tokens.size(1)):
            h = h.detach()  # saves memory on long texts
            h = self.cell(self.embed(tokens[:, t]), h)
        return self.decode(h)


def batch(n=64, T=10):
    tokens = torch.randint(0, 6, (n, T))
    return tokens, tokens[:, 0]


def loss(logits, target):
    return nn.functional.cross_entropy(logits, target)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)
