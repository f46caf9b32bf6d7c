"""Toy for the log parser: the first token of a session decides its type."""
import torch
from torch import nn

VOCAB, LENGTH, HIDDEN = 8, 70, 48


def sessions(count, seed):
    g = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, VOCAB, (count, LENGTH), generator=g)
    return tokens, tokens[:, 0].clone()


train_tokens, train_kind = sessions(3000, seed=1)


class SessionReader(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, 16)
        self.rnn = nn.RNN(16, HIDDEN, batch_first=True)
        self.classify = nn.Linear(HIDDEN, VOCAB)

    def forward(self, tokens):
        _, last = self.rnn(self.embed(tokens))
        return self.classify(last.squeeze(0))


def model():
    return SessionReader()


def data():
    order = torch.randperm(len(train_tokens))
    for idx in order.split(64):
        yield train_tokens[idx], train_kind[idx]


def loss(logits, kind):
    return nn.functional.cross_entropy(logits, kind)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
