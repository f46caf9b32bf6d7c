import torch
from torch import nn


class Seq2Vec(nn.Module):
    def __init__(self, vocab=30, d=6, h=24, classes=6):
        super().__init__()
        self.embed = nn.Embedding(vocab, d)
        self.lstm = nn.LSTM(d, h, batch_first=True)
        self.head = nn.Linear(h, classes)

    def forward(self, ids):
        out, _ = self.lstm(self.embed(ids))
        return self.head(out.mean(1))


def batch(n=64):
    ids = torch.randint(30, (n, 9))
    return ids, ids.sort(1).values[:, 4] // 5  # band of the median


def optimizer(model):
    return torch.optim.Adam(model.embed.parameters(), lr=0.01)
