import torch
from torch import nn


class Tagger(nn.Module):
    def __init__(self, vocab=10, d=16, h=24):
        super().__init__()
        self.emb = nn.Embedding(vocab, d)
        self.lstm = nn.LSTM(d, h, num_layers=2, bidirectional=True, batch_first=True, dropout=0.1)
        self.tag = nn.Linear(2 * h, 3)

    def forward(self, ids):
        out, _ = self.lstm(self.emb(ids))
        return self.tag(out)


def batch():
    ids = torch.randint(0, 10, (32, 12))
    left = torch.roll(ids, 1, 1)
    tags = (ids > left).long() + (ids == left).long() * 2
    tags[:, 0] = 0
    return ids, tags


def loss(scores, tags):
    return nn.functional.cross_entropy(scores.transpose(1, 2), tags)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)
