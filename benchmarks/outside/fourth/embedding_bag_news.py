"""Bag of words over a flat token list with offsets, SGD with a large rate as in the tutorial."""
import torch
from torch import nn


class TextClassificationModel(nn.Module):
    def __init__(self, vocab_size=500, embed_dim=32, num_class=4):
        super().__init__()
        self.embedding = nn.EmbeddingBag(vocab_size, embed_dim, sparse=False)
        self.fc = nn.Linear(embed_dim, num_class)
        self.init_weights()

    def init_weights(self):
        initrange = 0.5
        self.embedding.weight.data.uniform_(-initrange, initrange)
        self.fc.weight.data.uniform_(-initrange, initrange)
        self.fc.bias.data.zero_()

    def forward(self, text, offsets):
        return self.fc(self.embedding(text, offsets))


def batch(n=32):
    label = torch.randint(4, (n,))
    texts, offsets = [], [0]
    for k in label.tolist():
        m = int(torch.randint(10, 30, ()))
        own = torch.randint(k * 60, k * 60 + 60, (m,))
        words = torch.where(torch.rand(m) < 0.4, own, torch.randint(240, 500, (m,)))
        texts.append(words)
        offsets.append(m)
    return (torch.cat(texts), torch.tensor(offsets[:-1]).cumsum(0)), label


CLIP_GRAD_NORM = 0.1
criterion = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=5.0)
