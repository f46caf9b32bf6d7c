"""Tagger for 40 labels; log-likelihood by cross_entropy over the tokens."""
import torch
from torch import nn

WORDS, TAGS = 400, 40
table = torch.randint(TAGS, (WORDS,), generator=torch.Generator().manual_seed(5))


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(WORDS, 48)
        self.rnn = nn.GRU(48, 48, batch_first=True, bidirectional=True)
        self.tag = nn.Linear(96, TAGS)

    def forward(self, tokens):
        states, _ = self.rnn(self.embed(tokens))
        return self.tag(states).softmax(dim=-1)


def batch():
    tokens = torch.randint(WORDS, (16, 20))
    return tokens, table[tokens]


def loss(output, target):
    return nn.functional.cross_entropy(output.reshape(-1, TAGS), target.reshape(-1))


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
