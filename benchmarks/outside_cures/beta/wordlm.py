"""A tiny next-word model over an invented grammar of 120 words."""

import torch
from torch import nn

VOCAB = 120
CONTEXT = 3

_g = torch.Generator().manual_seed(11)
_successor = torch.stack([torch.randperm(VOCAB, generator=_g) for _ in range(2)])
_parity = torch.randint(2, (VOCAB,), generator=_g)


def sample(n, seed):
    g = torch.Generator().manual_seed(seed)
    words = [torch.randint(VOCAB, (n,), generator=g), torch.randint(VOCAB, (n,), generator=g)]
    for _ in range(CONTEXT - 1):
        # the next word depends on the last one and on the class of the one before
        words.append(_successor[_parity[words[-2]], words[-1]])
    seq = torch.stack(words, 1)
    return seq[:, :CONTEXT], seq[:, CONTEXT]


contexts, following = sample(4000, 1)


class LM(nn.Module):
    def __init__(self, dim=32, hidden=128):
        super().__init__()
        self.emb = nn.Embedding(VOCAB, dim)
        self.body = nn.Sequential(nn.Linear(CONTEXT * dim, hidden), nn.ReLU(), nn.Linear(hidden, VOCAB))

    def forward(self, tokens):
        e = self.emb(tokens).flatten(1)
        return torch.softmax(self.body(e), dim=-1)


def model():
    return LM()


def data():
    for start in range(0, 4000, 100):
        yield contexts[start : start + 100], following[start : start + 100]


loss = nn.functional.cross_entropy


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)


def metric(model):
    c, f = sample(500, 2)
    with torch.no_grad():
        return (model(c).argmax(-1) == f).float().mean().item()


HIGHER_IS_BETTER = True
