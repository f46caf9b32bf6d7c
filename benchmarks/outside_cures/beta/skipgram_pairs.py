"""Skip-gram by the inner product: do two words come from the same topic? Logistic loss on pairs."""

import torch
from torch import nn

WORDS, TOPICS = 120, 6
_topic = torch.randint(TOPICS, (WORDS,), generator=torch.Generator().manual_seed(3))
_pairs = torch.cartesian_prod(torch.arange(WORDS), torch.arange(WORDS))
_pairs = _pairs[torch.randperm(len(_pairs), generator=torch.Generator().manual_seed(4))]
_same = (_topic[_pairs[:, 0]] == _topic[_pairs[:, 1]]).float()
# as many positives as negatives
_pos, _neg = _pairs[_same == 1], _pairs[_same == 0]


def take(a, b):
    p = torch.cat([_pos[a:b], _neg[a:b]])
    y = torch.cat([torch.ones(b - a), torch.zeros(b - a)])
    return p, y


PAIRS, SAME = take(0, 1600)


class SkipGram(nn.Module):
    def __init__(self, dim=16):
        super().__init__()
        self.word = nn.Embedding(WORDS, dim)
        self.context = nn.Embedding(WORDS, dim)
        nn.init.zeros_(self.context.weight)
        nn.init.zeros_(self.word.weight)
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, pairs):
        return (self.word(pairs[:, 0]) * self.context(pairs[:, 1])).sum(1) + self.bias


def model():
    return SkipGram()


def data(seed=0):
    for i in torch.randperm(3200, generator=torch.Generator().manual_seed(seed)).split(160):
        yield PAIRS[i], SAME[i]


loss = nn.BCEWithLogitsLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)
